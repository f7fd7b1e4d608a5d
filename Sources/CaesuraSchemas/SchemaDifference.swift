public import CaesuraFormat

/// What differs between two schemas of one region, and which programs read which data.
///
/// It knows schemas, not code: where a change takes a migration, the side that has one reads more than is said here.
public struct SchemaDifference: Hashable, Sendable {
    /// The region's name.
    public let region: String
    /// The earlier schema, or whichever is to come first; nil if only the other side has the region.
    public let old: RegionSchema?
    /// The other schema; nil if only the first side has the region.
    public let new: RegionSchema?
    /// What differs, in the order of the new fields, each struct's before those inside it.
    public let changes: [Change]
    /// Whether a program of the new schema reads data of the old one; nil unless there are both.
    public let newReadsOld: Reading?
    /// Whether a program of the old schema reads data of the new one; nil unless there are both.
    public let oldReadsNew: Reading?

    /// Whether both are the same.
    public var isEmpty: Bool { old == new }

    /// One thing that differs.
    public struct Change: Hashable, Codable, Sendable {
        /// What it is.
        public var kind: Kind
        /// The names from the row to the field, joined with full stops, as the newer side has them.
        ///
        /// A key's begin with `key:`. Nil when the region or its row is meant.
        public var field: String?
        /// The field's number.
        public var number: UInt16?
        /// What was there; nil if nothing was.
        public var old: String?
        /// What is there; nil if nothing is.
        public var new: String?
    }

    /// The ways in which two schemas differ.
    @nonexhaustive
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// Of the region: table, log, cell.
        case kind
        /// The row's version.
        case version
        /// The name of the row's schema.
        case schema
        /// The field is new.
        case added
        /// The field is gone, and its number or name retired.
        case retired
        /// The field is gone, and not retired.
        case dropped
        /// A number or a name is not retired any more.
        case revived
        /// The field has another name.
        case renamed
        /// The type is another one, or is now optional or not.
        case type
        /// An enumeration has a case that it had not.
        case caseAdded
        /// An enumeration has a case no more.
        case caseRemoved
        /// A case of an enumeration has another name.
        case caseRenamed
        /// An enumeration has another fallback.
        case fallback
        /// The default is another one.
        case `default`
        /// The version that the field is said to have come with.
        case since
        /// What is said about who may see it.
        case sensitive
        /// The former names.
        case formerly
        /// The versions in which it goes.
        case deprecated
        /// The same fields stand in another order.
        case order
    }

    /// How a program of one side reads data of the other.
    public struct Reading: Hashable, Sendable {
        /// What is in the way; it is read if nothing is.
        public var conflicts: [SchemaConflict]
        /// The names of the fields, from the row on, that the program does not know and keeps for others.
        public var kept: [String]

        /// Whether the program reads it.
        public var isRead: Bool { conflicts.isEmpty }

        fileprivate init(of data: RegionSchema, by program: RegionSchema) {
            do throws(SchemaConflicts) {
                let resolution = try SchemaResolution(writer: data, reader: program)
                conflicts = []
                kept = Self.kept(resolution.stored.row.fields, besides: program.row.fields, "")
            } catch {
                conflicts = error.conflicts
                kept = []
            }
        }

        private static func kept(
            _ stored: [Field], besides known: [Field], _ path: String
        ) -> [String] {
            stored.flatMap { field -> [String] in
                let name = path + field.name
                guard let other = known.first(where: { $0.number == field.number }) else {
                    return [name]
                }
                guard let members = field.type.members, let inner = other.type.members else {
                    return []
                }
                return kept(members.fields, besides: inner.fields, name + ".")
            }
        }
    }

    /// Compares two schemas of one region.
    ///
    /// - Precondition: There is one at least, and both have one name.
    /// - Complexity: O(fields); quadratic in the fields of one struct.
    public init(from old: RegionSchema?, to new: RegionSchema?) {
        guard let some = new ?? old else { preconditionFailure("a difference has a side") }
        region = some.name
        self.old = old
        self.new = new
        guard let old, let new else {
            (changes, newReadsOld, oldReadsNew) = ([], nil, nil)
            return
        }
        precondition(old.name == new.name, "a difference is of one region")
        var comparison = FieldComparison()
        comparison.compare(old, new)
        changes = comparison.changes
        newReadsOld = Reading(of: old, by: new)
        oldReadsNew = Reading(of: new, by: old)
    }

    /// Compares all regions of two programs, by name.
    public static func all(
        from old: [RegionSchema], to new: [RegionSchema]
    ) -> [SchemaDifference] {
        let names = Set(old.map(\.name)).union(new.map(\.name))
        return names.sorted().map { name in
            SchemaDifference(
                from: old.first { $0.name == name }, to: new.first { $0.name == name })
        }
    }
}
