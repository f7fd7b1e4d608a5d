import CaesuraFormat

/// The names of an enumeration's cases by their raw values, as they are printed.
struct CaseNames {
    /// Raw values that are integers, as the low bits of a word, ascending.
    private var words: [UInt64] = []
    /// For each of them where its name is.
    private var ranges: [Range<Int>] = []
    /// Where the names of raw values that are strings are.
    private var strings: [[UInt8]: Range<Int>] = [:]
    /// The names, one behind the other.
    private(set) var texts: [UInt8] = []

    /// The names of a type's cases; a type that is no enumeration has none.
    init(_ type: FieldType, printed: (String) -> [UInt8]) {
        guard case .enumeration(let raw, let cases) = type else { return }
        var width = 8
        if case .scalar(let scalar) = raw { width = scalar.width }
        var integers: [(word: UInt64, range: Range<Int>)] = []
        for enumerationCase in cases {
            let name = printed(enumerationCase.name)
            let range = texts.count..<texts.count + name.count
            texts += name
            let mask = UInt64.max >> UInt64(64 - 8 * width)
            switch enumerationCase.raw {
            case .int(let int): integers.append((UInt64(truncatingIfNeeded: int) & mask, range))
            case .uint(let uint): integers.append((UInt64(truncatingIfNeeded: uint) & mask, range))
            case .string(let string): strings[Array(string.utf8)] = range
            default: break
            }
        }
        integers.sort { $0.word < $1.word }
        words = integers.map(\.word)
        ranges = integers.map(\.range)
    }

    /// Where the name of an integer is.
    func text(integer value: UnsafeRawBufferPointer) -> Range<Int>? {
        var word: UInt64 = 0
        for index in (0..<value.count).reversed() { word = unsafe word << 8 | UInt64(value[index]) }
        var low = 0
        var high = words.count
        while low < high {
            let middle = (low + high) / 2
            if words[middle] < word { low = middle + 1 } else { high = middle }
        }
        return low < words.count && words[low] == word ? ranges[low] : nil
    }

    /// Where the name of a string is.
    func text(string value: UnsafeRawBufferPointer) -> Range<Int>? {
        unsafe strings[Array(value)]
    }
}
