import CaesuraFormat

/// The fields of a region as a tree whose ends are its columns, in the order in which columns stand.
indirect enum RowTree {
    /// A column of values.
    case leaf(Int)
    /// A column that says for which rows the rest has values, and the rest.
    case optional(presence: Int, RowTree)
    /// The fields of a struct, each with its name as JSON has it: `"name":`.
    case structure([(label: [UInt8], tree: RowTree)])

    /// The trees of a region's key, if it has one, and of its row.
    static func trees(of region: RegionSchema) -> (key: RowTree?, row: RowTree) {
        var next = 0
        let key = region.key.map { tree(of: $0.fields, next: &next) }
        return (key, tree(of: region.row.fields, next: &next))
    }

    private static func tree(of fields: [Field], next: inout Int) -> RowTree {
        .structure(
            fields.map {
                (
                    label: JSONText.quoted($0.name) + [UInt8(ascii: ":")],
                    tree: tree(of: $0.type, next: &next)
                )
            })
    }

    /// Counts leaves as `RegionSchema.leaves` lays them out.
    private static func tree(of type: FieldType, next: inout Int) -> RowTree {
        switch type {
        case .structure(let fields, _): return tree(of: fields, next: &next)
        case .optional(let wrapped):
            let presence = next
            next += 1
            return .optional(presence: presence, tree(of: wrapped, next: &next))
        case .scalar, .string, .bytes, .enumeration, .array:
            defer { next += 1 }
            return .leaf(next)
        }
    }
}
