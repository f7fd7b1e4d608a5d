import CaesuraFormat
import CaesuraTesting
import Testing

/// Which values an enumeration of strings takes.
@Suite struct EnumerationCaseTests {
    private func layout(_ raws: [String]) throws -> RegionLayout {
        var region = session
        region.row.fields[0].type = .enumeration(
            raw: .string,
            cases: raws.enumerated().map { EnumerationCase(name: "c\($0)", raw: .string($1)) })
        return try RegionLayout(region)
    }

    private func isCase(_ value: String, _ layout: RegionLayout) -> Bool {
        unsafe Array(value.utf8).withUnsafeBytes { unsafe layout.isCase($0, of: 1) }
    }

    @Test func `the cases of strings are found, and nothing near them`() throws {
        let raws = ["b", "", "ab", "a", "é", "z", "abc", "\u{10FFFF}", "B"]
        let layout = try layout(raws)
        for raw in raws { #expect(isCase(raw, layout)) }
        for other in ["ac", "aa", "abcd", "A", "c", "zz", "e", "\u{10FFFE}", "e\u{301}"] {
            #expect(!isCase(other, layout))
        }
        let chunk = encodeChunk(
            layout,
            rows: raws.enumerated().map { row, raw in
                [.uint(UInt128(row)), .string(raw), .string("t"), .none, .uint(0)]
            })
        #expect(try decodeChunk(chunk, layout).count == raws.count)
    }
}

@Suite struct LeafColumnTests {
    @Test func `an optional struct flattens to a presence leaf and scoped leaves`() {
        let address = FieldType.structure([
            Field(number: 1, name: "city", type: .string),
            Field(number: 2, name: "zip", type: .optional(.scalar(.uint32))),
        ])
        let region = RegionSchema(
            name: "people", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
            row: Schema(
                name: "person",
                fields: [Field(number: 3, name: "home", type: .optional(address))]))
        let leaves = region.leaves
        #expect(leaves.map(\.name) == ["key", "home", "home.city", "home.zip", "home.zip"])
        #expect(leaves.map(\.scope) == [nil, nil, 1, 1, 3])
        #expect(leaves.map(\.path) == [[1], [3], [3, 1], [3, 2], [3, 2]])
        #expect(leaves.map(\.isKey) == [true, false, false, false, false])
    }
}
