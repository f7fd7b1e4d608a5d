import CaesuraFormat

/// A column as plain Swift values, to fill buffers from and to compare them with.
struct PlainColumn: Equatable, CustomStringConvertible {
    var kind: LeafColumn.Kind
    /// The bytes of each value.
    var values: [[UInt8]]
    /// For values that travel in segments: the length the column gives them.
    var segmented: [Int: UInt32] = [:]

    var description: String {
        "\(kind) \(values.map { $0.map { String($0, radix: 16) }.joined(separator: ",") })"
    }

    init(_ kind: LeafColumn.Kind, _ values: [[UInt8]]) {
        self.kind = kind
        self.values = values
    }

    init<T: FixedWidthInteger>(_ scalar: ScalarType, integers: [T]) {
        self.init(.fixed(scalar), integers.map(littleEndianBytes))
    }

    init(doubles: [Double]) {
        self.init(.fixed(.float64), doubles.map { littleEndianBytes($0.bitPattern) })
    }

    init(floats: [Float]) {
        self.init(.fixed(.float32), floats.map { littleEndianBytes($0.bitPattern) })
    }

    init(strings: [String]) {
        self.init(.bytes(utf8: true), strings.map { Array($0.utf8) })
    }

    init(_ buffer: ColumnBuffer) {
        kind = buffer.kind
        values = []
        let width = buffer.width
        switch kind {
        case .presence, .fixed:
            for i in 0..<buffer.count {
                values.append(
                    unsafe [UInt8](
                        UnsafeRawBufferPointer(start: buffer.values + i * width, count: width)))
            }
        case .bytes, .array:
            var offset = 0
            for i in 0..<buffer.count {
                let length = unsafe Int(buffer.lengths[i]) * width
                if length > Limits.inlineValueBytes {
                    segmented[i] = unsafe buffer.lengths[i]
                    values.append([])
                    continue
                }
                values.append(
                    unsafe [UInt8](
                        UnsafeRawBufferPointer(start: buffer.content + offset, count: length)))
                offset += length
            }
            precondition(offset == buffer.contentByteCount)
        }
    }

    /// A buffer with these values.
    var buffer: ColumnBuffer {
        let buffer = ColumnBuffer(kind: kind)
        buffer.reserveCapacity(values.count)
        buffer.reserveContent(values.reduce(0) { $0 + $1.count })
        for (i, value) in values.enumerated() {
            switch kind {
            case .presence, .fixed:
                precondition(value.count == buffer.width)
                unsafe value.withUnsafeBytes {
                    unsafe (buffer.values + i * buffer.width).copyMemory(
                        from: $0.baseAddress!, byteCount: $0.count)
                }
            case .bytes, .array:
                unsafe buffer.lengths[i] =
                    segmented[i] ?? UInt32(value.count / buffer.width)
                unsafe value.withUnsafeBytes {
                    if let start = $0.baseAddress {
                        unsafe (buffer.content + buffer.contentByteCount).copyMemory(
                            from: start, byteCount: $0.count)
                    }
                }
                buffer.contentByteCount += value.count
            }
        }
        buffer.count = values.count
        return buffer
    }

    /// What the values take without any coding: their bytes, and 4 a length.
    var plainSize: Int {
        var size = values.reduce(0) { $0 + $1.count }
        switch kind {
        case .bytes, .array: size += 4 * values.count
        case .presence, .fixed: break
        }
        return size
    }
}

func littleEndianBytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

/// Encodes and decodes with memory that is kept, as a worker does.
struct ColumnCoder: ~Copyable {
    var encoder = ColumnEncoder()
    var decoder = ColumnDecoder(limits: Limits())
    var writer = ByteWriter()

    mutating func encode(_ column: PlainColumn) -> [UInt8] {
        writer.truncate(to: 0)
        encoder.encode(column.buffer, into: &writer)
        return writer.array
    }

    mutating func decode(
        _ bytes: [UInt8], _ kind: LeafColumn.Kind, count: Int, origin: Int = 0
    ) throws(FormatError) -> PlainColumn {
        let buffer = ColumnBuffer(kind: kind)
        let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { unsafe exact.deallocate() }
        unsafe exact.copyBytes(from: bytes)
        try unsafe decoder.decode(
            UnsafeRawBufferPointer(exact), kind: kind, count: count, origin: origin, into: buffer)
        return PlainColumn(buffer)
    }
}

/// A small, fast generator with a printed seed: SplitMix64.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
