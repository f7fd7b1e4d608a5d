/// Whether each value of a column is well-formed UTF-8 (Unicode 15, table 3-7).
///
/// Invariant: `content` has ``ColumnBuffer/padding`` readable bytes behind its last.
enum UTF8Validation {
    /// Looks at the content as a whole and, only if it is not ASCII, at each value; values that the
    /// column does not hold itself are skipped.
    static func areValid(
        _ lengths: UnsafePointer<UInt32>, _ content: UnsafeRawPointer, count: Int, total: Int
    ) -> Bool {
        if unsafe isASCII(content, count: total) { return true }
        var offset = 0
        for i in 0..<count {
            let length = unsafe Int(lengths[i])
            if length > Limits.inlineValueBytes { continue }
            guard unsafe isValid(content + offset, count: length) else { return false }
            offset &+= length
        }
        return true
    }

    /// Whether no byte has its top bit set.
    static func isASCII(_ content: UnsafeRawPointer, count: Int) -> Bool {
        var index = 0
        while index &+ 32 <= count {
            let a = unsafe (content + index).loadUnaligned(as: SIMD2<UInt64>.self)
            let b = unsafe (content + index + 16).loadUnaligned(as: SIMD2<UInt64>.self)
            let both = (a | b) & 0x8080_8080_8080_8080
            if both[0] | both[1] != 0 { return false }
            index &+= 32
        }
        while index < count {
            if unsafe content.load(fromByteOffset: index, as: UInt8.self) >= 0x80 { return false }
            index &+= 1
        }
        return true
    }

    /// Whether one value is well-formed.
    static func isValid(_ value: UnsafeRawPointer, count: Int) -> Bool {
        let bytes = unsafe value.assumingMemoryBound(to: UInt8.self)
        var index = 0
        while index < count {
            let first = unsafe bytes[index]
            if first < 0x80 {
                index &+= 1
                continue
            }
            let length: Int
            var low: UInt8 = 0x80
            var high: UInt8 = 0xBF
            switch first {
            case 0xC2...0xDF: length = 2
            case 0xE0...0xEF:
                length = 3
                if first == 0xE0 { low = 0xA0 }
                if first == 0xED { high = 0x9F }
            case 0xF0...0xF4:
                length = 4
                if first == 0xF0 { low = 0x90 }
                if first == 0xF4 { high = 0x8F }
            default: return false
            }
            guard count &- index >= length else { return false }
            let second = unsafe bytes[index &+ 1]
            guard second >= low, second <= high else { return false }
            for i in 2..<max(length, 2) where unsafe bytes[index &+ i] & 0xC0 != 0x80 {
                return false
            }
            index &+= length
        }
        return true
    }
}
