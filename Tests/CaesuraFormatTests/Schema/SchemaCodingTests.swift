import CaesuraFormat
import CaesuraTesting
import Testing

/// The region that the specification's worked example and the golden files use.
let session = RegionSchema(
    name: "sessions", kind: .table,
    key: Schema(name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
    row: Schema(
        name: "session", version: 2,
        fields: [
            Field(number: 1, name: "user", type: .scalar(.uint64)),
            Field(number: 2, name: "token", type: .string, flags: .sensitive),
            Field(number: 3, name: "lastSeen", type: .optional(.scalar(.timestamp))),
            Field(
                number: 4, name: "visits", type: .scalar(.uint32), defaultValue: .uint(0), since: 2),
        ]))

func coding(of region: RegionSchema) -> [UInt8] {
    var writer = ByteWriter()
    region.encode(into: &writer)
    return writer.array
}

func region(reading bytes: [UInt8]) throws(FormatError) -> RegionSchema {
    var result: Result<RegionSchema, FormatError>?
    unsafe bytes.withUnsafeBytes { buffer in
        result = Result { () throws(FormatError) in
            var reader = unsafe ByteReader(buffer)
            return try RegionSchema(reading: &reader)
        }
    }
    return try result!.get()
}

@Suite struct SchemaCodingTests {
    @Test func `random schemas come back as they went`() throws {
        var random = RandomSchema(seed: RandomSchema.seed)
        for round in 0..<300 {
            let schema = random.region()
            let comment: Comment = "seed \(random.seed), round \(round)"
            try schema.validate()
            let bytes = coding(of: schema)
            #expect(try region(reading: bytes) == schema, comment)
            #expect(coding(of: try region(reading: bytes)) == bytes, comment)
        }
    }

    @Test func `a schema cut anywhere is truncated`() throws {
        let bytes = coding(of: session)
        for length in 0..<bytes.count {
            #expect(throws: FormatError(.truncated, "", at: 0)) {
                try region(reading: Array(bytes[..<length]))
            }
        }
    }

    @Test func `a changed byte gives an error or a schema that keeps the rules`() throws {
        let bytes = coding(of: session)
        var errors = 0
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                do {
                    let schema = try region(reading: changed)
                    try schema.validate()
                    #expect(schema != session)
                } catch {
                    errors += 1
                }
            }
        }
        #expect(errors > bytes.count)
    }

    @Test func `deep nesting and huge counts are refused without recursion or memory`() {
        // A table's name, kind, key flag; key schema's name and version; then fields without end.
        let head: [UInt8] = [1, 0x74, 3, 0, 1, 0x72, 1]
        let field: [UInt8] = [1, 1, 1, 0x66, 1, 0]
        var deep = head
        for _ in 0..<10_000 { deep += field + [37] }
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) { try region(reading: deep) }
        var optionals = head + field
        optionals += [UInt8](repeating: 35, count: 100_000)
        #expect(throws: FormatError(.malformed, "", at: 0)) { try region(reading: optionals) }
        let huge = head + [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) { try region(reading: huge) }
    }

    @Test func `numbers and versions beyond their range are malformed`() {
        let head: [UInt8] = [1, 0x74, 3, 0, 1, 0x72]
        let large: [UInt8] = [0x80, 0x80, 0x80, 0x80, 0x10]
        let inputs: [[UInt8]] = [
            large + [1], [1, 1, 0x80, 0x80, 0x04, 1, 0x66, 1, 0, 1, 0],
            [1, 1, 1, 1, 0x66] + large + [0, 1, 0],
        ]
        for input in inputs {
            #expect(throws: FormatError(.malformed, "", at: 0)) {
                try region(reading: head + input)
            }
        }
    }

    @Test func `an unknown type or flag is of a newer format`() {
        let head: [UInt8] = [1, 0x74, 3, 0, 1, 0x72, 1, 1, 1, 1, 0x66, 1]
        #expect(throws: FormatError(.unsupported, "", at: 0)) {
            try region(reading: head + [0, 99, 0])
        }
        #expect(throws: FormatError(.unsupported, "", at: 0)) {
            try region(reading: head + [8, 1, 0])
        }
        #expect(throws: FormatError(.unsupported, "", at: 0)) {
            try region(reading: [1, 0x74, 3, 4, 1, 0x72, 1, 0])
        }
        #expect(throws: Never.self) { try region(reading: head + [0, 1, 0]) }
    }
}

@Suite struct FingerprintTests {
    @Test func `names, defaults, versions and flags change only the resolution fingerprint`() {
        var changes: [RegionSchema] = []
        func change(_ body: (inout RegionSchema) -> Void) {
            var copy = session
            body(&copy)
            changes.append(copy)
        }
        change { $0.name = "others" }
        change { $0.row.name = "other" }
        change { $0.row.version = 3 }
        change { $0.row.fields[0].name = "person" }
        change { $0.row.fields[0].flags = .sensitive }
        change { $0.row.fields[3].defaultValue = .uint(1) }
        change { $0.row.fields[3].since = 1 }
        for other in changes {
            #expect(other.wireFingerprint == session.wireFingerprint)
            #expect(other.resolutionFingerprint != session.resolutionFingerprint)
        }
        #expect(Set(changes.map(\.resolutionFingerprint)).count == changes.count)
    }

    @Test func `numbers, types, order and the key change the wire fingerprint`() {
        var changes: [RegionSchema] = [session]
        func change(_ body: (inout RegionSchema) -> Void) {
            var copy = session
            body(&copy)
            changes.append(copy)
        }
        change { $0.row.fields[0].number = 9 }
        change { $0.row.fields[0].type = .scalar(.int64) }
        change { $0.row.fields.swapAt(0, 1) }
        change { $0.row.fields.removeLast() }
        change { $0.key!.fields[0].type = .scalar(.uuid) }
        change { $0.row.fields[2].type = .scalar(.timestamp) }
        change { $0.kind = .log }
        #expect(Set(changes.map(\.wireFingerprint)).count == changes.count)
    }

    @Test func `a new case of an enumeration keeps the wire fingerprint`() {
        func with(_ cases: [EnumerationCase]) -> RegionSchema {
            var copy = session
            copy.row.fields[0].type = .enumeration(raw: .scalar(.uint8), cases: cases)
            return copy
        }
        let one = with([EnumerationCase(name: "a", raw: .uint(1))])
        let two = with([
            EnumerationCase(name: "a", raw: .uint(1)), EnumerationCase(name: "b", raw: .uint(2)),
        ])
        #expect(one.wireFingerprint == two.wireFingerprint)
        #expect(one.resolutionFingerprint != two.resolutionFingerprint)
    }
}
