/// What encoders and decoders need to know of a region, computed once.
public struct RegionLayout: Sendable {
    /// The region's schema, which keeps the rules.
    public let schema: RegionSchema
    /// The region's columns.
    public let leaves: [LeafColumn]
    /// The fingerprint that the region's chunks carry.
    public let wireFingerprint: Fingerprint
    /// The part of a row's weight that all rows have: 1 for each presence leaf, the width for each fixed
    /// leaf, 4 for each bytes or array leaf.
    ///
    /// Add the length of each of the row's bytes and array values, or ``Limits/inlineValueBytes`` for a
    /// longer one, and it is the weight of `docs/FORMAT.md`, "Ranges and planning".
    public let fixedRowWeight: Int
    /// For each leaf of an enumeration the raw values that may stand in it.
    let cases: [CaseSet?]

    /// Validates a schema and computes the rest from it.
    ///
    /// - Throws: What ``RegionSchema/validate()`` throws.
    public init(_ schema: RegionSchema) throws(FormatError) {
        try schema.validate()
        self.schema = schema
        leaves = schema.leaves
        wireFingerprint = schema.wireFingerprint
        fixedRowWeight = leaves.reduce(0) { sum, leaf in
            switch leaf.kind {
            case .presence: sum + 1
            case .fixed(let scalar): sum + scalar.width
            case .bytes, .array: sum + 4
            }
        }
        cases = leaves.map { leaf in
            guard case .enumeration(let raw, let cases) = leaf.type, leaf.kind != .presence else {
                return nil
            }
            return CaseSet(raw: raw, cases: cases)
        }
    }
}

extension RegionLayout {
    /// Whether a value may stand in a leaf, which is an enumeration's: whether it is one of the cases.
    ///
    /// True for all other leaves.
    public func isCase(_ value: UnsafeRawBufferPointer, of leaf: Int) -> Bool {
        guard let cases = cases[leaf] else { return true }
        return unsafe cases.contains(value)
    }
}

/// The raw values of an enumeration, to check columns against.
struct CaseSet: Sendable {
    /// Integers as the low bits of a word, ascending.
    private var words: [UInt64] = []
    /// Strings as UTF-8, ascending by their bytes.
    private var strings: [[UInt8]] = []
    private let width: Int

    init(raw: FieldType, cases: [EnumerationCase]) {
        if case .scalar(let scalar) = raw { width = scalar.width } else { width = 0 }
        for enumerationCase in cases {
            switch enumerationCase.raw {
            case .uint(let uint): words.append(UInt64(uint))
            case .int(let int):
                words.append(UInt64(truncatingIfNeeded: int) & UInt64.max >> (64 - 8 * width))
            case .string(let string): strings.append(Array(string.utf8))
            default: preconditionFailure("a raw value that is neither integer nor string")
            }
        }
        words.sort()
        strings.sort { $0.lexicographicallyPrecedes($1) }
    }

    /// Whether each value of a column is a case.
    func containsAll(of column: ColumnBuffer) -> Bool {
        switch width {
        case 1: containsAll(of: column, as: UInt8.self)
        case 2: containsAll(of: column, as: UInt16.self)
        case 4: containsAll(of: column, as: UInt32.self)
        case 8: containsAll(of: column, as: UInt64.self)
        default: containsAllStrings(of: column)
        }
    }

    private func containsAll<Word: FixedWidthInteger & BitwiseCopyable>(
        of column: ColumnBuffer, as type: Word.Type
    ) -> Bool {
        guard let smallest = words.first, let largest = words.last else { return false }
        if largest - smallest == UInt64(words.count - 1) {
            // The usual case, 0 and up without gaps: one comparison a value.
            let first = Word(truncatingIfNeeded: smallest)
            let span = Word(truncatingIfNeeded: largest - smallest)
            var all = true
            for index in 0..<column.count {
                // SAFETY: the column holds `count` values of this width.
                let word = unsafe column.values.loadUnaligned(
                    fromByteOffset: index &* MemoryLayout<Word>.size, as: Word.self)
                all = all && word &- first <= span
            }
            return all
        }
        var known = smallest
        for index in 0..<column.count {
            // SAFETY: as above.
            let word = UInt64(
                truncatingIfNeeded: unsafe column.values.loadUnaligned(
                    fromByteOffset: index &* MemoryLayout<Word>.size, as: Word.self))
            if word == known { continue }
            guard contains(word) else { return false }
            known = word
        }
        return true
    }

    /// Whether the bytes of a value are those of a case.
    func contains(_ value: UnsafeRawBufferPointer) -> Bool {
        if width == 0 { return unsafe place(of: value) != nil }
        var word: UInt64 = 0
        for index in 0..<value.count { unsafe word |= UInt64(value[index]) << UInt64(8 * index) }
        return contains(word)
    }

    private func contains(_ word: UInt64) -> Bool {
        var low = 0
        var high = words.count
        while low < high {
            let middle = (low + high) / 2
            if words[middle] < word { low = middle + 1 } else { high = middle }
        }
        return low < words.count && words[low] == word
    }

    /// The place of a value among the strings.
    ///
    /// - Complexity: O(length · log cases): who sends chunks chooses the values, and perhaps the cases.
    private func place(of value: UnsafeRawBufferPointer) -> Int? {
        var low = 0
        var high = strings.count
        while low < high {
            let middle = (low + high) / 2
            let order = unsafe Self.compare(strings[middle], value)
            if order == 0 { return middle }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// Less than 0 where `string` comes before `value`, 0 where they are equal.
    private static func compare(_ string: [UInt8], _ value: UnsafeRawBufferPointer) -> Int {
        unsafe string.withUnsafeBytes { string in
            for index in 0..<min(string.count, value.count) {
                let (a, b) = unsafe (string[index], value[index])
                if a != b { return Int(a) - Int(b) }
            }
            return string.count - value.count
        }
    }

    private func containsAllStrings(of column: ColumnBuffer) -> Bool {
        var offset = 0
        // Neighbours are often equal.
        var known = 0
        for index in 0..<column.count {
            let length = unsafe Int(column.lengths[index])
            guard length <= Limits.inlineValueBytes else { return false }
            // SAFETY: the decoder made the content as long as the lengths that are not segmented.
            let value = unsafe UnsafeRawBufferPointer(start: column.content + offset, count: length)
            offset += length
            if unsafe Self.compare(strings[known], value) == 0 { continue }
            guard let found = unsafe place(of: value) else { return false }
            known = found
        }
        return true
    }
}
