/// The distinct values of a column in order of first appearance, and which of them each value is.
///
/// An open hash table of codes over keys of 64 bits. Values that the hash function treats badly (chosen
/// ones, say) end the attempt after ``probeLimit`` steps rather than slow it down; the column is then
/// written without a dictionary, the same way each time.
@safe
struct ValueDictionary: ~Copyable {
    /// Distinct values at most.
    static let capacity = 8192
    /// Slots looked at for one value at most.
    static let probeLimit = 64

    private var slots = Scratch()
    private var keyMemory = Scratch()
    private var codeMemory = Scratch()
    private var firstMemory = Scratch()
    /// The distinct values, by code.
    private(set) var keys: UnsafeMutablePointer<UInt64>
    /// The code of each value.
    private(set) var codes: UnsafeMutablePointer<UInt16>
    /// Number of distinct values.
    private(set) var count = 0

    /// Where each distinct string appears first.
    private(set) var firsts: UnsafeMutablePointer<(index: UInt32, offset: UInt32)>

    init() {
        unsafe firsts = firstMemory.reserve(0, of: (index: UInt32, offset: UInt32).self)
        unsafe keys = keyMemory.reserve(Self.capacity, of: UInt64.self)
        unsafe codes = codeMemory.reserve(0, of: UInt16.self)
    }

    /// Builds the dictionary of integers; false if it cannot be smaller than `bits` a value.
    @inline(__always)
    mutating func build<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ source: UnsafePointer<T>, count valueCount: Int, bits: Int
    ) -> Bool {
        let bound = begin(valueCount, atMost: bits < 14 ? 1 << (bits - 1) : Self.capacity)
        let table = unsafe slots.reserve(bound.slots, of: UInt16.self)
        unsafe table.initialize(repeating: 0, count: bound.slots)
        let shift = UInt64(64 &- bound.slots.trailingZeroBitCount)
        let mask = bound.slots &- 1
        for i in 0..<valueCount {
            let key = unsafe UInt64(truncatingIfNeeded: source[i])
            var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
            var code = unsafe table[slot]
            var steps = 0
            while code != 0, unsafe keys[Int(code) &- 1] != key {
                slot = (slot &+ 1) & mask
                code = unsafe table[slot]
                steps &+= 1
                if steps == Self.probeLimit { return false }
            }
            if code == 0 {
                if count == bound.distinct { return false }
                unsafe keys[count] = key
                count &+= 1
                code = UInt16(truncatingIfNeeded: count)
                unsafe table[slot] = code
            }
            unsafe codes[i] = code &- 1
        }
        return true
    }

    /// A word, never 0, that tells values apart: those of up to 7 bytes exactly, longer ones by a hash with
    /// its top bit set.
    @inline(__always)
    static func key(_ value: UnsafeRawPointer, _ length: Int) -> UInt64 {
        let first = unsafe UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))
        if length < 8 {
            let tag = UInt64(truncatingIfNeeded: length)
            return first & ((1 &<< (tag &* 8)) &- 1) | (tag &+ 1) &<< 56
        }
        var hash = (first ^ UInt64(truncatingIfNeeded: length)) &* 0x9E37_79B9_7F4A_7C15
        var index = 8
        while index &+ 8 < length {
            let word = unsafe UInt64(
                littleEndian: value.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            hash = ((hash ^ hash &>> 32) ^ word) &* 0x9E37_79B9_7F4A_7C15
            index &+= 8
        }
        let last = unsafe UInt64(
            littleEndian: value.loadUnaligned(fromByteOffset: length &- 8, as: UInt64.self))
        hash = ((hash ^ hash &>> 32) ^ last) &* 0x9E37_79B9_7F4A_7C15
        return (hash ^ hash &>> 29) | 1 &<< 63
    }

    /// Builds the dictionary of strings; false if there are too many distinct ones.
    mutating func build(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count valueCount: Int
    ) -> Bool {
        let bound = begin(valueCount, atMost: Self.capacity)
        let table = unsafe slots.reserve(bound.slots, of: UInt16.self)
        unsafe table.initialize(repeating: 0, count: bound.slots)
        unsafe firsts = firstMemory.reserve(
            bound.distinct, of: (index: UInt32, offset: UInt32).self)
        let shift = UInt64(64 &- bound.slots.trailingZeroBitCount)
        let mask = bound.slots &- 1
        var offset = 0
        for i in 0..<valueCount {
            let length = unsafe Int(lengths[i])
            let key = unsafe Self.key(content + offset, length)
            var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> shift)
            var code = unsafe table[slot]
            var steps = 0
            while code != 0 {
                let entry = Int(code) &- 1
                if unsafe keys[entry] == key {
                    if length < 8 { break }
                    let first = unsafe firsts[entry]
                    if unsafe Int(lengths[Int(first.index)]) == length,
                        unsafe commonPrefix(
                            content + Int(first.offset), content + offset, atMost: length)
                            == length
                    {
                        break
                    }
                }
                slot = (slot &+ 1) & mask
                code = unsafe table[slot]
                steps &+= 1
                if steps == Self.probeLimit { return false }
            }
            if code == 0 {
                if count == bound.distinct { return false }
                unsafe keys[count] = key
                unsafe firsts[count] = (
                    UInt32(truncatingIfNeeded: i), UInt32(truncatingIfNeeded: offset)
                )
                count &+= 1
                code = UInt16(truncatingIfNeeded: count)
                unsafe table[slot] = code
            }
            unsafe codes[i] = code &- 1
            offset &+= length
        }
        return true
    }

    /// Forgets the last dictionary; says how many distinct values and slots there may be.
    private mutating func begin(
        _ valueCount: Int, atMost limit: Int
    ) -> (distinct: Int, slots: Int) {
        count = 0
        unsafe codes = codeMemory.reserve(valueCount, of: UInt16.self)
        let distinct = max(1, min(limit, Self.capacity, valueCount / 2))
        let slots = max(64, 1 << bitLength(UInt(distinct * 2 - 1)))
        return (distinct, slots)
    }
}
