/// Makes columns of the stored schema from columns of the writer's: one loop a column that differs, none for the others.
///
///     leaf        the column changes hands
///     widened     each value is written again in more bytes
///     constant    as many copies as rows, or as rows in which the optional around it is present
///
/// Not thread-safe: one worker, one resolver.
public final class ColumnResolver {
    private let sources: [SchemaResolution.LeafSource]
    private let leaves: [LeafColumn]
    /// For each of the writer's leaves the stored leaf that its values go to; nil if there is none.
    public let targets: [Int?]
    /// For each of the writer's leaves whether it must be decoded: those of variable length always, because their
    /// segments are checked against them.
    public let wantedLeaves: [Bool]
    /// The stored columns; what the last ``resolve(_:)`` made.
    public let batch: ColumnBatch

    /// Creates a resolver.
    public init(_ resolution: SchemaResolution) {
        sources = resolution.sources
        leaves = resolution.stored.leaves
        batch = ColumnBatch(leaves: leaves)
        let data = resolution.writer.leaves
        var targets = [Int?](repeating: nil, count: data.count)
        for (index, source) in sources.enumerated() {
            switch source {
            case .leaf(let leaf), .widened(let leaf, _): targets[leaf] = index
            case .constant: break
            }
        }
        self.targets = targets
        wantedLeaves = zip(data, targets).map { leaf, target in
            switch leaf.kind {
            case .bytes, .array: true
            case .presence, .fixed: target != nil
            }
        }
    }

    /// Makes ``batch`` from a batch of the writer's, whose columns then have nothing any more.
    ///
    /// - Complexity: O(values of widened and constant columns).
    public func resolve(_ data: ColumnBatch) {
        batch.removeAll()
        batch.rowCount = data.rowCount
        for (index, source) in sources.enumerated() {
            let column = batch.columns[index]
            switch source {
            case .leaf(let leaf): column.takeContents(of: data.columns[leaf])
            case .widened(let leaf, let type): column.widen(data.columns[leaf], from: type)
            case .constant(let bytes): column.fill(bytes, count: valueCount(of: index))
            }
        }
    }

    /// The number of values of a leaf whose scope is made: it comes before.
    private func valueCount(of leaf: Int) -> Int {
        guard let scope = leaves[leaf].scope else { return batch.rowCount }
        let presence = batch.columns[scope]
        var count = 0
        for index in 0..<presence.count {
            count &+= unsafe Int(presence.values.load(fromByteOffset: index, as: UInt8.self))
        }
        return count
    }
}

extension ColumnBuffer {
    /// Makes it `count` copies of a value.
    ///
    /// - Parameter bytes: The value: of a column with lengths, its content.
    func fill(_ bytes: [UInt8], count: Int) {
        removeAll()
        reserveCapacity(count)
        switch kind {
        case .presence, .fixed:
            if count == 0 { break }
            precondition(bytes.count == width, "a value of another width")
            unsafe bytes.withUnsafeBytes { source in
                for index in 0..<count {
                    // SAFETY: room was made for `count` values.
                    unsafe (values + index &* width).copyMemory(
                        from: source.baseAddress!, byteCount: width)
                }
            }
        case .bytes, .array:
            reserveContent(bytes.count * count)
            unsafe bytes.withUnsafeBytes { source in
                for index in 0..<count {
                    unsafe lengths[index] = UInt32(source.count / width)
                    if let base = source.baseAddress {
                        // SAFETY: room was made for `count` times the bytes.
                        unsafe (content + index &* source.count).copyMemory(
                            from: base, byteCount: source.count)
                    }
                }
            }
            contentByteCount = bytes.count * count
        }
        self.count = count
    }

    /// Makes it the values of a column of a narrower scalar.
    func widen(_ narrow: ColumnBuffer, from type: ScalarType) {
        guard case .fixed(let wide) = kind else {
            preconditionFailure("only scalars become wider")
        }
        switch type {
        case .int8: widen(narrow, from: Int8.self, to: wide)
        case .int16: widen(narrow, from: Int16.self, to: wide)
        case .int32: widen(narrow, from: Int32.self, to: wide)
        case .int64: widen(narrow, from: Int64.self, to: wide)
        case .uint8: widen(narrow, from: UInt8.self, to: wide)
        case .uint16: widen(narrow, from: UInt16.self, to: wide)
        case .uint32: widen(narrow, from: UInt32.self, to: wide)
        case .uint64: widen(narrow, from: UInt64.self, to: wide)
        case .float16, .float32: widenFloats(narrow, from: type, to: wide)
        default: preconditionFailure("\(type) has no wider type")
        }
    }

    private func widen<Narrow: FixedWidthInteger & BitwiseCopyable>(
        _ narrow: ColumnBuffer, from type: Narrow.Type, to wide: ScalarType
    ) {
        switch wide.width {
        case 2: convert(narrow, from: type, to: Int16.self) { Int16(truncatingIfNeeded: $0) }
        case 4: convert(narrow, from: type, to: Int32.self) { Int32(truncatingIfNeeded: $0) }
        case 8: convert(narrow, from: type, to: Int64.self) { Int64(truncatingIfNeeded: $0) }
        default: convert(narrow, from: type, to: Int128.self) { Int128(truncatingIfNeeded: $0) }
        }
    }

    private func widenFloats(_ narrow: ColumnBuffer, from type: ScalarType, to wide: ScalarType) {
        switch (type, wide) {
        case (.float32, _): convert(narrow, from: UInt32.self, to: UInt64.self, Self.double)
        #if !(os(macOS) && arch(x86_64))
            case (_, .float32): convert(narrow, from: UInt16.self, to: UInt32.self, Self.float)
            default:
                convert(narrow, from: UInt16.self, to: UInt64.self) {
                    Self.double(of: Self.float(of: $0))
                }
        #else
            default: preconditionFailure("this system has no Float16")
        #endif
        }
    }

    /// Makes it the values of a column of a wider scalar, which came from this one's.
    func narrow(_ wide: ColumnBuffer, to type: ScalarType) {
        guard case .fixed(let scalar) = wide.kind else {
            preconditionFailure("only scalars become narrower")
        }
        switch (type, scalar) {
        case (.float32, .float64): convert(wide, from: UInt64.self, to: UInt32.self, Self.float)
        #if !(os(macOS) && arch(x86_64))
            case (.float16, .float32): convert(wide, from: UInt32.self, to: UInt16.self, Self.half)
            case (.float16, .float64):
                convert(wide, from: UInt64.self, to: UInt16.self) {
                    Self.half(of: Self.float(of: $0))
                }
        #endif
        default: narrow(wide, width: type.width, from: scalar)
        }
    }

    private func narrow(_ wide: ColumnBuffer, width: Int, from scalar: ScalarType) {
        switch scalar.width {
        case 2: narrow(wide, width: width, from: UInt16.self)
        case 4: narrow(wide, width: width, from: UInt32.self)
        case 8: narrow(wide, width: width, from: UInt64.self)
        default: narrow(wide, width: width, from: UInt128.self)
        }
    }

    private func narrow<Wide: FixedWidthInteger & BitwiseCopyable>(
        _ wide: ColumnBuffer, width: Int, from type: Wide.Type
    ) {
        switch width {
        case 1: convert(wide, from: type, to: UInt8.self) { UInt8(truncatingIfNeeded: $0) }
        case 2: convert(wide, from: type, to: UInt16.self) { UInt16(truncatingIfNeeded: $0) }
        case 4: convert(wide, from: type, to: UInt32.self) { UInt32(truncatingIfNeeded: $0) }
        default: convert(wide, from: type, to: UInt64.self) { UInt64(truncatingIfNeeded: $0) }
        }
    }

    /// A double's bits as those of the float that it came from.
    private static func float(of bits: UInt64) -> UInt32 {
        let double = Double(bitPattern: bits)
        guard double.isNaN else { return Float(double).bitPattern }
        return UInt32(bits >> 63) << 31 | 0xFF << 23 | UInt32(bits >> 29 & 0x7F_FFFF)
    }

    /// A float's bits as a double's; of a NaN the sign and the payload stay.
    private static func double(of bits: UInt32) -> UInt64 {
        let float = Float(bitPattern: bits)
        guard float.isNaN else { return Double(float).bitPattern }
        return UInt64(bits & 1 << 31) << 32 | 0x7FF << 52 | UInt64(bits & 0x7F_FFFF) << 29
    }

    #if !(os(macOS) && arch(x86_64))
        /// A float's bits as those of the half that it came from.
        private static func half(of bits: UInt32) -> UInt16 {
            let float = Float(bitPattern: bits)
            guard float.isNaN else { return Float16(float).bitPattern }
            return UInt16(bits >> 31) << 15 | 0x1F << 10 | UInt16(bits >> 13 & 0x3FF)
        }

        private static func float(of bits: UInt16) -> UInt32 {
            let float = Float16(bitPattern: bits)
            guard float.isNaN else { return Float(float).bitPattern }
            return UInt32(bits & 1 << 15) << 16 | 0xFF << 23 | UInt32(bits & 0x3FF) << 13
        }
    #endif

    @inline(__always)
    private func convert<From: BitwiseCopyable, To: BitwiseCopyable>(
        _ narrow: ColumnBuffer, from: From.Type, to: To.Type, _ value: (From) -> To
    ) {
        removeAll()
        reserveCapacity(narrow.count)
        // SAFETY: both buffers are aligned to 64 bytes and hold, or have room for, `narrow.count` values.
        let source = unsafe narrow.values.assumingMemoryBound(to: From.self)
        let target = unsafe values.assumingMemoryBound(to: To.self)
        for index in 0..<narrow.count { unsafe target[index] = value(source[index]) }
        count = narrow.count
    }
}
