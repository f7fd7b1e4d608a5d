import CaesuraFormat
import CaesuraTesting
import Testing

/// One schema read under another: the tables of `docs/SCHEMAS.md`.
@Suite struct SchemaResolutionTests {
    private typealias Rule = SchemaConflict.Rule

    private static func region(
        _ fields: [Field], version: UInt32 = 1, retired: [RetiredField] = [],
        kind: RegionKind = .table, key: FieldType = .scalar(.uint64)
    ) -> RegionSchema {
        RegionSchema(
            name: "sessions", kind: kind,
            key: kind == .table
                ? Schema(name: "key", fields: [Field(number: 1, name: "key", type: key)]) : nil,
            row: Schema(name: "session", version: version, fields: fields, retired: retired))
    }

    private static func field(
        _ number: UInt16, _ type: FieldType, _ name: String? = nil, default value: Value? = nil,
        formerly: [String] = []
    ) -> Field {
        Field(
            number: number, name: name ?? "f\(number)", type: type, defaultValue: value,
            formerNames: formerly)
    }

    private func resolve(
        _ data: RegionSchema, _ program: RegionSchema
    ) throws -> SchemaResolution {
        try data.validate()
        try program.validate()
        let resolution = try SchemaResolution(writer: data, reader: program)
        try resolution.stored.validate()
        #expect(resolution.sources.count == resolution.stored.leaves.count)
        return resolution
    }

    /// The rules that are broken.
    private func rules(_ data: RegionSchema, _ program: RegionSchema) throws -> [Rule] {
        do {
            _ = try resolve(data, program)
            return []
        } catch let error as SchemaConflicts {
            for conflict in error.conflicts {
                #expect(conflict.region == "sessions")
                #expect(conflict.dataVersion == data.row.version)
                #expect(conflict.programVersion == program.row.version)
                #expect(!conflict.hint.isEmpty)
            }
            return error.conflicts.map(\.rule)
        }
    }

    private static let base = field(1, .scalar(.uint64))

    @Test func `equal schemas are stored as they come`() throws {
        let schema = Self.region([Self.base, Self.field(2, .optional(.string))])
        let resolution = try resolve(schema, schema)
        #expect(resolution.isIdentity)
        #expect(resolution.stored == schema)
    }

    @Test func `added fields have defaults or are kept`() throws {
        let old = Self.region([Self.base])
        let added = Self.field(2, .string, default: .string("x"))
        let new = Self.region([Self.base, added], version: 2)
        let forwards = try resolve(old, new)
        #expect(forwards.sources == [.leaf(0), .leaf(1), .constant([0x78])])
        #expect(forwards.stored == new)
        let back = try resolve(new, old)
        #expect(back.sources == [.leaf(0), .leaf(1), .leaf(2)])
        #expect(back.isIdentity)
        #expect(back.stored.row.fields == [Self.base, added])
        #expect(back.stored.row.version == 2)
        #expect(
            try rules(old, Self.region([Self.base, Self.field(2, .string)], version: 2)) == [
                .missingDefault
            ])
        let optional = Self.region([Self.base, Self.field(2, .optional(.string))], version: 2)
        #expect(try resolve(old, optional).sources.suffix(2) == [.constant([0]), .constant([])])
    }

    @Test func `retired fields are skipped, dropped ones refused`() throws {
        let old = Self.region([Self.base, Self.field(2, .string, "country")])
        for retired in [RetiredField.number(2), .name("country")] {
            let new = Self.region([Self.base], version: 2, retired: [retired])
            #expect(try resolve(old, new).stored == new)
            #expect(try resolve(old, new).sources == [.leaf(0), .leaf(1)])
            #expect(try rules(new, old) == [.missingDefault])
        }
        #expect(try rules(old, Self.region([Self.base], version: 2)) == [.droppedField])
        #expect(try rules(old, Self.region([Self.base])) == [.droppedField])
        // A program that has a default reads what a newer one has retired.
        let withDefault = Self.region([Self.base, Self.field(2, .string, default: .string("?"))])
        let new = Self.region([Self.base], version: 2, retired: [2])
        let resolution = try resolve(new, withDefault)
        #expect(resolution.stored == withDefault)
        #expect(resolution.sources.last == .constant([0x3F]))
    }

    @Test func `a changed name is written down, on either side`() throws {
        let old = Self.region([Self.field(1, .string, "hits")])
        let new = Self.region([Self.field(1, .string, "visits", formerly: ["hits"])], version: 2)
        #expect(try resolve(old, new).isIdentity)
        #expect(try resolve(new, old).isIdentity)
        let silent = Self.region([Self.field(1, .string, "visits")], version: 2)
        #expect(try rules(old, silent) == [.otherName])
        #expect(try rules(silent, old) == [.otherName])
    }

    @Test func `exactly these scalars become wider`() throws {
        let signed: [ScalarType] = [.int8, .int16, .int32, .int64, .int128]
        let unsigned: [ScalarType] = [.uint8, .uint16, .uint32, .uint64, .uint128]
        let floats: [ScalarType] = [.float16, .float32, .float64]
        for from in ScalarType.allCases {
            for to in ScalarType.allCases where from != to {
                var isWider = false
                for types in [signed, unsigned, floats] {
                    if let a = types.firstIndex(of: from), let b = types.firstIndex(of: to), a < b {
                        isWider = true
                    }
                }
                if let a = unsigned.firstIndex(of: from), let b = signed.firstIndex(of: to), a < b {
                    isWider = true
                }
                let (data, program) = (
                    Self.region([Self.field(1, .scalar(from))]),
                    Self.region([Self.field(1, .scalar(to))], version: 2)
                )
                #expect(
                    try rules(data, program) == (isWider ? [] : [.otherType]), "\(from) to \(to)")
                if isWider {
                    #expect(
                        try resolve(data, program).sources == [.leaf(0), .widened(1, from: from)])
                }
                #expect(
                    try rules(
                        Self.region([Self.field(1, .array(from))]),
                        Self.region([Self.field(1, .array(to))], version: 2)) == [.otherType])
            }
        }
    }

    @Test func `types change by being optional, and no other way`() throws {
        let address = FieldType.structure([Self.field(1, .string)])
        let status = FieldType.enumeration(
            raw: .scalar(.uint8), cases: [EnumerationCase(name: "a", raw: .uint(0))])
        let types: [FieldType] = [
            .scalar(.uint8), .scalar(.bool), .scalar(.uuid), .scalar(.timestamp), .string, .bytes,
            .array(.uint8), status, address,
        ]
        for from in types {
            for to in types where from != to {
                #expect(
                    try rules(
                        Self.region([Self.field(1, from)]),
                        Self.region([Self.field(1, to)], version: 2)) == [.otherType])
            }
            let (data, program) = (
                Self.region([Self.field(1, from)]),
                Self.region([Self.field(1, .optional(from))], version: 2)
            )
            #expect(try resolve(data, program).sources[1] == .constant([1]))
            #expect(try rules(program, data) == [.otherType])
        }
        #expect(
            try resolve(
                Self.region([Self.field(1, .optional(.scalar(.int8)))]),
                Self.region([Self.field(1, .optional(.scalar(.int64)))], version: 2)
            ).sources == [.leaf(0), .leaf(1), .widened(2, from: .int8)])
    }

    @Test func `unknown cases need a fallback, and are stored`() throws {
        func status(_ names: [String], raw: ScalarType = .uint8, fallback: String? = nil)
            -> RegionSchema
        {
            let cases = names.map { name in
                let value = Int(name.utf8.first!) - 0x61
                return EnumerationCase(
                    name: name, raw: raw == .uint8 ? .uint(UInt128(value)) : .int(Int128(value)),
                    isFallback: name == fallback)
            }
            return Self.region(
                [Self.field(1, .enumeration(raw: .scalar(raw), cases: cases))],
                version: UInt32(names.count))
        }
        #expect(try resolve(status(["a"]), status(["a", "b"])).isIdentity)
        #expect(try rules(status(["a", "b"]), status(["a"])) == [.unknownCases])
        let resolution = try resolve(
            status(["a", "b", "c"], fallback: "c"), status(["a"], fallback: "a"))
        guard case .enumeration(_, let cases) = resolution.stored.row.fields[0].type else {
            Issue.record("an enumeration stays one")
            return
        }
        #expect(cases.map(\.name) == ["a", "b", "c"])
        #expect(cases.map(\.isFallback) == [true, false, false])
        // Wider raw values are compared as numbers.
        let wider = try resolve(status(["a", "b"]), status(["a", "b", "c"], raw: .int16))
        #expect(wider.sources == [.leaf(0), .widened(1, from: .uint8)])
        #expect(try rules(status(["a"], raw: .int16), status(["a", "b"])) == [.otherType])
    }

    @Test func `nested structs grow like rows`() throws {
        func address(_ fields: [Field], _ retired: [RetiredField] = [], version: UInt32)
            -> RegionSchema
        {
            Self.region(
                [
                    Self.field(
                        1, .optional(.structure(fields, retired: retired)), default: Value.none)
                ],
                version: version)
        }
        let city = Self.field(1, .string, "city")
        let zip = Self.field(2, .string, "zip", default: .string("0"))
        let old = address([city], version: 1)
        let new = address([city, zip], version: 2)
        #expect(
            try resolve(old, new).sources == [.leaf(0), .leaf(1), .leaf(2), .constant([0x30])])
        #expect(try resolve(new, old).isIdentity)
        #expect(try resolve(new, old).stored.row.fields == new.row.fields)
        #expect(try rules(new, address([city], version: 3)) == [.droppedField])
        #expect(try resolve(new, address([city], [2], version: 3)).sources.count == 3)
        let bad = address([city, Self.field(2, .string, "zip")], version: 2)
        let error = #expect(throws: SchemaConflicts.self) { try resolve(old, bad) }
        #expect(error?.conflicts.first?.path == "f1.zip")
    }

    @Test func `keys and kinds never change`() throws {
        let data = Self.region([Self.base])
        #expect(try rules(data, Self.region([Self.base], key: .string)) == [.otherKey])
        #expect(try rules(data, Self.region([Self.base], key: .scalar(.int64))) == [.otherKey])
        #expect(try rules(data, Self.region([Self.base], kind: .log)).contains(.otherKind))
        func key(_ names: [String]) -> RegionSchema {
            Self.region(
                [Self.base],
                key: .enumeration(
                    raw: .string, cases: names.map { EnumerationCase(name: $0, raw: .string($0)) }))
        }
        #expect(try rules(key(["a", "b"]), key(["a"])) == [.otherKey])
        #expect(try rules(key(["a"]), key(["a", "b"])) == [])
    }

    @Test func `a kept field of a name that the program uses gets another`() throws {
        let data = Self.region(
            [
                Self.base, Self.field(2, .string, "old", formerly: ["name"]),
                Self.field(3, .string, "name"),
            ],
            version: 2)
        let program = Self.region([Self.base, Self.field(2, .string, "name")])
        #expect(
            try resolve(data, program).stored.row.fields.map(\.name) == ["f1", "name", "name#3"])
    }

    @Test func `all that is in the way is told at once`() throws {
        let data = Self.region([
            Self.base, Self.field(2, .string), Self.field(3, .scalar(.int64)),
            Self.field(4, .string, "a"),
        ])
        let program = Self.region(
            [
                Self.base, Self.field(3, .scalar(.int8)), Self.field(4, .string, "b"),
                Self.field(5, .bytes),
            ], version: 2)
        let error = #expect(throws: SchemaConflicts.self) { try resolve(data, program) }
        #expect(
            error?.description == """
                W4: region sessions, field f3 (number 3): the data of version 1 has int64, the program of version 2 \
                int8; give the field of the new type a new number and retire this one
                W3: region sessions, field b (number 4): the data of version 1 has the name a, the program of version \
                2 another one; write 'formerly: ["a"]' if it is the same field, or take another number
                W1: region sessions, field f5 (number 5): the data of version 1 has no such field, the program of \
                version 2 bytes without a default; give it a default
                W2: region sessions, field f2 (number 2): the data of version 1 has string, the program of version 2 \
                neither such a field nor a retired one; write 'retired: [2, "f2"]'
                """)
    }
}
