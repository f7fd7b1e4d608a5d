import CaesuraFormat
import Testing

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
