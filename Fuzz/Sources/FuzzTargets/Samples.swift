import CaesuraFormat

/// Regions whose chunks the targets decode: each type and each kind of nesting once.
enum Samples {
    static let session = RegionSchema(
        name: "sessions", kind: .table,
        key: Schema(name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
        row: Schema(
            name: "session", version: 2,
            fields: [
                Field(number: 1, name: "user", type: .scalar(.uint64)),
                Field(number: 2, name: "token", type: .string, flags: .sensitive),
                Field(number: 3, name: "lastSeen", type: .optional(.scalar(.timestamp))),
                Field(
                    number: 4, name: "visits", type: .scalar(.uint32), defaultValue: .uint(0),
                    since: 2),
            ]))

    static let everything = RegionSchema(
        name: "everything", kind: .table,
        key: Schema(
            name: "key",
            fields: [
                Field(number: 1, name: "peer", type: .string),
                Field(number: 2, name: "id", type: .scalar(.uuid)),
            ]),
        row: Schema(
            name: "row",
            fields: [
                Field(number: 1, name: "flag", type: .scalar(.bool), defaultValue: .bool(true)),
                Field(number: 2, name: "cart", type: .scalar(.float64)),
                Field(number: 3, name: "wide", type: .scalar(.int128)),
                Field(number: 4, name: "path", type: .array(.uint32)),
                Field(
                    number: 5, name: "origin",
                    type: .enumeration(
                        raw: .scalar(.int16),
                        cases: [
                            EnumerationCase(name: "a", raw: .int(-1)),
                            EnumerationCase(name: "b", raw: .int(5)),
                        ])),
                Field(
                    number: 6, name: "country",
                    type: .enumeration(
                        raw: .string,
                        cases: [
                            EnumerationCase(name: "de", raw: .string("DE")),
                            EnumerationCase(name: "none", raw: .string("")),
                        ]), defaultValue: .string("DE")),
                Field(
                    number: 7, name: "home",
                    type: .optional(
                        .structure([
                            Field(number: 1, name: "zip", type: .optional(.scalar(.uint16))),
                            Field(number: 2, name: "photo", type: .bytes),
                        ]))),
            ]))

    static let layouts: [RegionLayout] = [session, everything].compactMap {
        try? RegionLayout($0)
    }

    /// A batch of so many plausible rows.
    static func batch(_ layout: RegionLayout, rows: Int) -> ColumnBatch {
        let batch = ColumnBatch(leaves: layout.leaves)
        batch.rowCount = rows
        for (index, leaf) in layout.leaves.enumerated() {
            let column = batch.columns[index]
            let count: Int
            if let scope = leaf.scope {
                let presence = batch.columns[scope]
                count = (0..<presence.count).reduce(0) {
                    $0 + Int(unsafe presence.values.load(fromByteOffset: $1, as: UInt8.self))
                }
            } else {
                count = rows
            }
            for row in 0..<count { append(row, leaf, to: column) }
        }
        return batch
    }

    private static func append(_ row: Int, _ leaf: LeafColumn, to column: ColumnBuffer) {
        switch (leaf.kind, leaf.type) {
        case (.presence, _): column.append(fixed: [UInt8(row % 2)])
        case (.fixed(.bool), _): column.append(fixed: [UInt8(row % 2)])
        case (.fixed, .enumeration): column.append(fixed: row % 2 == 0 ? [0xFF, 0xFF] : [5, 0])
        case (.fixed(let scalar), _):
            column.append(fixed: (0..<scalar.width).map { UInt8(truncatingIfNeeded: row >> $0) })
        case (.bytes, .enumeration):
            column.append(
                content: row % 3 == 0 ? [] : Array("DE".utf8), length: row % 3 == 0 ? 0 : 2)
        case (.bytes, _):
            let text = Array("value-\(row * 7919)".utf8)
            column.append(content: text, length: text.count)
        case (.array(let scalar), _):
            let bytes = (0..<(row % 3) * scalar.width).map { UInt8(truncatingIfNeeded: $0 + row) }
            column.append(content: bytes, length: row % 3)
        }
    }
}

extension ColumnBuffer {
    func append(fixed bytes: [UInt8]) {
        reserveCapacity(count + 1)
        for (index, byte) in bytes.enumerated() {
            unsafe values.storeBytes(of: byte, toByteOffset: count * width + index, as: UInt8.self)
        }
        count += 1
    }

    func append(content bytes: [UInt8], length: Int) {
        reserveCapacity(count + 1)
        unsafe lengths[count] = UInt32(length)
        count += 1
        reserveContent(contentByteCount + bytes.count)
        for (index, byte) in bytes.enumerated() {
            unsafe content.storeBytes(
                of: byte, toByteOffset: contentByteCount + index, as: UInt8.self)
        }
        contentByteCount += bytes.count
    }

    /// Whether two columns hold the same values; their memory must be as long as they say.
    func holdsTheSame(as other: ColumnBuffer) -> Bool {
        guard kind == other.kind, count == other.count, contentByteCount == other.contentByteCount
        else { return false }
        switch kind {
        case .presence, .fixed:
            return unsafe UnsafeRawBufferPointer(start: values, count: count * width)
                .elementsEqual(UnsafeRawBufferPointer(start: other.values, count: count * width))
        case .bytes, .array:
            let lengthsAgree = unsafe UnsafeBufferPointer(start: lengths, count: count)
                .elementsEqual(UnsafeBufferPointer(start: other.lengths, count: count))
            return unsafe lengthsAgree
                && UnsafeRawBufferPointer(start: content, count: contentByteCount)
                    .elementsEqual(
                        UnsafeRawBufferPointer(start: other.content, count: contentByteCount))
        }
    }
}
