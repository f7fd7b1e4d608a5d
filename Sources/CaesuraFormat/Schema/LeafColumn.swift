/// One column of a region: a leaf of its schemas, flattened.
///
/// Leaves stand in a fixed order: the key's fields, then the row's, each in declaration order. A field
/// flattens like this:
///
///     scalar, enumeration of an integer   one `.fixed` leaf
///     string, bytes, enum of strings      one `.bytes` leaf
///     array                               one `.array` leaf
///     optional                            one `.presence` leaf, then the wrapped type's leaves,
///                                         scoped to it: they hold values only for the rows present
///     structure                           the leaves of its fields, one after the other
public struct LeafColumn: Hashable, Sendable {
    /// What the column's memory holds.
    public enum Kind: Hashable, Sendable {
        /// One byte a value, 0 or 1: is the optional there?
        case presence
        /// Values of one width.
        case fixed(ScalarType)
        /// A length and that many bytes a value; UTF-8 where `utf8` is set.
        case bytes(utf8: Bool)
        /// A length and that many elements a value.
        case array(ScalarType)
    }

    /// Field numbers from the outermost struct to this field.
    public var path: [UInt16]
    /// Field names along `path`, joined with dots.
    public var name: String
    /// What the column's memory holds.
    public var kind: Kind
    /// Index (among the region's leaves) of the presence leaf that says for which rows this leaf has
    /// a value, or nil when every row has one.
    public var scope: Int?
    /// Whether the leaf belongs to the key.
    public var isKey: Bool
    /// The field's flags, with those of the structs around it.
    public var flags: Field.Flags
    /// The field's type with optionals and structs taken off: scalar, string, bytes, enumeration, array.
    public var type: FieldType
}

extension RegionSchema {
    /// The region's columns, in the order in which chunks hold them.
    public var leaves: [LeafColumn] {
        var leaves: [LeafColumn] = []
        for field in key?.fields ?? [] {
            Self.flatten(
                field, path: [], name: "", scope: nil, isKey: true, flags: [], into: &leaves)
        }
        for field in row.fields {
            Self.flatten(
                field, path: [], name: "", scope: nil, isKey: false, flags: [], into: &leaves)
        }
        return leaves
    }

    private static func flatten(
        _ field: Field, path: [UInt16], name: String, scope: Int?, isKey: Bool, flags: Field.Flags,
        into leaves: inout [LeafColumn]
    ) {
        let path = path + [field.number]
        let name = name.isEmpty ? field.name : name + "." + field.name
        let flags = flags.union(field.flags)
        func add(_ kind: LeafColumn.Kind, _ type: FieldType, scope: Int?) {
            leaves.append(
                LeafColumn(
                    path: path, name: name, kind: kind, scope: scope, isKey: isKey, flags: flags,
                    type: type))
        }
        func add(_ type: FieldType, scope: Int?) {
            switch type {
            case .scalar(let scalar): add(.fixed(scalar), type, scope: scope)
            case .string: add(.bytes(utf8: true), type, scope: scope)
            case .bytes: add(.bytes(utf8: false), type, scope: scope)
            case .enumeration(.scalar(let raw), _): add(.fixed(raw), type, scope: scope)
            case .enumeration: add(.bytes(utf8: true), type, scope: scope)
            case .array(let element): add(.array(element), type, scope: scope)
            case .optional(let wrapped):
                add(.presence, type, scope: scope)
                add(wrapped, scope: leaves.count - 1)
            case .structure(let fields, _):
                for nested in fields {
                    flatten(
                        nested, path: path, name: name, scope: scope, isKey: isKey, flags: flags,
                        into: &leaves)
                }
            }
        }
        add(field.type, scope: scope)
    }
}
