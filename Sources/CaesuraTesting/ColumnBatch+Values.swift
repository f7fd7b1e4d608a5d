package import CaesuraFormat

/// Rows as values, one for each field of the key and of the row, to and from columns.
extension ColumnBatch {
    /// Puts rows into columns.
    package convenience init(_ layout: RegionLayout, rows: [[Value]]) {
        self.init(leaves: layout.leaves)
        let fields = layout.fields
        for row in rows {
            var leaf = 0
            for (field, value) in zip(fields, row) {
                append(value, as: field.type, leaf: &leaf, isPresent: true)
            }
        }
        rowCount = rows.count
    }

    /// The rows of the columns.
    package func rows(_ layout: RegionLayout) -> [[Value]] {
        var cursors = columns.map { _ in Cursor() }
        return (0..<rowCount).map { _ in
            var leaf = 0
            return layout.fields.map { take(as: $0.type, leaf: &leaf, &cursors, isPresent: true) }
        }
    }

    /// A place in a column.
    package struct Cursor {
        var index = 0
        var offset = 0

        /// The beginning.
        package init() {}
    }

    private func append(_ value: Value, as type: FieldType, leaf: inout Int, isPresent: Bool) {
        switch type {
        case .optional(let wrapped):
            if isPresent { columns[leaf].append([value == .none ? 0 : 1]) }
            leaf += 1
            append(value, as: wrapped, leaf: &leaf, isPresent: isPresent && value != .none)
        case .structure(let fields, _):
            guard case .structure(let values) = value else {
                for field in fields { append(.none, as: field.type, leaf: &leaf, isPresent: false) }
                return
            }
            for (field, value) in zip(fields, values) {
                append(value, as: field.type, leaf: &leaf, isPresent: isPresent)
            }
        default:
            if isPresent {
                switch value {
                case .string(let string): columns[leaf].append(Array(string.utf8), length: nil)
                case .bytes(let bytes): columns[leaf].append(bytes, length: nil)
                case .array(let values):
                    guard case .array(let element) = type else {
                        preconditionFailure("a value of its type")
                    }
                    columns[leaf].append(
                        values.flatMap { $0.bytes(element) }, length: values.count)
                default:
                    guard case .fixed(let scalar) = columns[leaf].kind else {
                        preconditionFailure("a value of its type")
                    }
                    columns[leaf].append(value.bytes(scalar))
                }
            }
            leaf += 1
        }
    }

    private func take(
        as type: FieldType, leaf: inout Int, _ cursors: inout [Cursor], isPresent: Bool
    ) -> Value {
        switch type {
        case .optional(let wrapped):
            var here = false
            if isPresent { here = columns[leaf].value(&cursors[leaf], width: 1)[0] == 1 }
            leaf += 1
            let value = take(as: wrapped, leaf: &leaf, &cursors, isPresent: here)
            return here ? value : .none
        case .structure(let fields, _):
            return .structure(
                fields.map { take(as: $0.type, leaf: &leaf, &cursors, isPresent: isPresent) })
        default:
            defer { leaf += 1 }
            guard isPresent else { return .none }
            let column = columns[leaf]
            switch column.kind {
            case .fixed(let scalar):
                return Value(column.value(&cursors[leaf], width: scalar.width), scalar)
            case .bytes(let utf8):
                let bytes = column.content(&cursors[leaf], width: 1)
                return utf8 ? .string(String(decoding: bytes, as: UTF8.self)) : .bytes(bytes)
            case .array(let scalar):
                let bytes = column.content(&cursors[leaf], width: scalar.width)
                return .array(
                    stride(from: 0, to: bytes.count, by: scalar.width).map {
                        Value(Array(bytes[$0..<$0 + scalar.width]), scalar)
                    })
            case .presence: preconditionFailure("a presence leaf is an optional's")
            }
        }
    }
}

extension RegionLayout {
    /// The fields of the key and of the row.
    package var fields: [Field] { (schema.key?.fields ?? []) + schema.row.fields }
}

extension ColumnBuffer {
    /// Appends a value of fixed width.
    package func append(_ bytes: [UInt8]) {
        reserveCapacity(count + 1)
        for (index, byte) in bytes.enumerated() {
            unsafe values.storeBytes(of: byte, toByteOffset: count * width + index, as: UInt8.self)
        }
        count += 1
    }

    /// Appends a value with a length; its content is left out when it is too long for a column.
    package func append(_ bytes: [UInt8], length: Int?) {
        reserveCapacity(count + 1)
        unsafe lengths[count] = UInt32(length ?? bytes.count)
        count += 1
        guard bytes.count <= Limits.inlineValueBytes else { return }
        reserveContent(contentByteCount + bytes.count)
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe (content + contentByteCount).copyMemory(from: start, byteCount: source.count)
        }
        contentByteCount += bytes.count
    }

    /// The next value of fixed width.
    package func value(_ cursor: inout ColumnBatch.Cursor, width: Int) -> [UInt8] {
        defer { cursor.index += 1 }
        return (0..<width).map {
            unsafe values.load(fromByteOffset: cursor.index * width + $0, as: UInt8.self)
        }
    }

    /// The next value with a length; empty when it is not in the column.
    package func content(_ cursor: inout ColumnBatch.Cursor, width: Int) -> [UInt8] {
        let byteCount = unsafe Int(lengths[cursor.index]) * width
        cursor.index += 1
        guard byteCount <= Limits.inlineValueBytes else { return [] }
        defer { cursor.offset += byteCount }
        return unsafe [UInt8](
            UnsafeRawBufferPointer(start: content + cursor.offset, count: byteCount))
    }
}

extension Value {
    /// The value's bytes in a column, little-endian.
    package func bytes(_ scalar: ScalarType) -> [UInt8] {
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            (0..<scalar.width).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        return switch (self, scalar) {
        case (.bool(let bool), _): [bool ? 1 : 0]
        case (.int(let int), _): little(int)
        case (.uint(let uint), _): little(uint)
        case (.float(let bits), .float16): little(Float16(Double(bitPattern: bits)).bitPattern)
        case (.float(let bits), .float32): little(Float(Double(bitPattern: bits)).bitPattern)
        case (.float(let bits), _): little(bits)
        case (.uuid(let bytes), _): bytes
        default: preconditionFailure("a scalar")
        }
    }

    /// The value of a column's bytes.
    package init(_ bytes: [UInt8], _ scalar: ScalarType) {
        let word = bytes.enumerated().reduce(UInt128(0)) {
            $0 | UInt128($1.element) << ($1.offset * 8)
        }
        let shift = 128 - scalar.width * 8
        self =
            switch scalar {
            case .bool: .bool(word == 1)
            case .int8, .int16, .int32, .int64, .int128, .timestamp:
                .int((Int128(truncatingIfNeeded: word) << shift) >> shift)
            case .uint8, .uint16, .uint32, .uint64, .uint128: .uint(word)
            case .float16:
                .float(bits: Double(Float16(bitPattern: UInt16(word))).bitPattern)
            case .float32: .float(bits: Double(Float(bitPattern: UInt32(word))).bitPattern)
            case .float64: .float(bits: UInt64(word))
            case .uuid: .uuid(bytes)
            }
    }
}
