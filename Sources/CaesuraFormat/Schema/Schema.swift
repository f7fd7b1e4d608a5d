/// A field of a struct: a stable number, a name, a type, and what a reader does without it.
public struct Field: Hashable, Sendable {
    /// The number that identifies the field for ever, from 1 to 65,535.
    public var number: UInt16
    /// The name people see.
    public var name: String
    /// What the bytes mean.
    public var type: FieldType
    /// The value a reader uses where the writer did not know the field.
    public var defaultValue: Value?
    /// The schema version that added the field.
    public var since: UInt32
    /// Properties beside the type.
    public var flags: Flags
    /// Names that the field had in earlier versions.
    public var formerNames: [String]
    /// When the field goes, if it does.
    public var deprecation: Deprecation?

    /// The versions of a schema in which a field goes.
    public struct Deprecation: Hashable, Sendable {
        /// From this version on code that uses the field is warned.
        public var since: UInt32
        /// From this version on the field is not written: new rows have its default; nil if that is not planned.
        public var unwritten: UInt32?
        /// From this version on, and not before, the field may be retired; nil if that is not planned.
        public var gone: UInt32?

        /// Creates a deprecation.
        public init(since: UInt32, unwritten: UInt32? = nil, gone: UInt32? = nil) {
            self.since = since
            self.unwritten = unwritten
            self.gone = gone
        }
    }

    /// Properties of a field beside its type.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// The bits as they are written in a schema.
        public var rawValue: UInt8

        /// Creates flags from bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The value is not for logs, exports or eyes.
        public static let sensitive = Flags(rawValue: 1)
    }

    /// Creates a field.
    public init(
        number: UInt16, name: String, type: FieldType, defaultValue: Value? = nil,
        since: UInt32 = 1, flags: Flags = [], formerNames: [String] = [],
        deprecation: Deprecation? = nil
    ) {
        self.number = number
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.since = since
        self.flags = flags
        self.formerNames = formerNames
        self.deprecation = deprecation
    }
}

/// A field that a struct once had, by its number or by its name: neither is ever used again.
public enum RetiredField: Hashable, Sendable, ExpressibleByIntegerLiteral,
    ExpressibleByStringLiteral
{
    /// The field of that number.
    case number(UInt16)
    /// The field of that name.
    case name(String)

    /// Names a field by its number.
    public init(integerLiteral number: UInt16) { self = .number(number) }
    /// Names a field by its name.
    public init(stringLiteral name: String) { self = .name(name) }
}

/// The fields of one struct at one version.
public struct Schema: Hashable, Sendable {
    /// The name people see.
    public var name: String
    /// Grows by one with each change that ships.
    public var version: UInt32
    /// The fields in declaration order.
    public var fields: [Field]
    /// The fields of earlier versions that are gone.
    public var retired: [RetiredField]

    /// Creates a schema.
    public init(
        name: String, version: UInt32 = 1, fields: [Field], retired: [RetiredField] = []
    ) {
        self.name = name
        self.version = version
        self.fields = fields
        self.retired = retired
    }
}

/// What a region is.
public enum RegionKind: UInt8, Hashable, Sendable {
    /// Rows by key, which change.
    case table = 1
    /// Rows by position: appended, never changed, trimmed from the first on.
    case log = 2
    /// One value.
    case cell = 3

    /// The role of the chunks that hold its rows.
    public var rowRole: ChunkRole {
        switch self {
        case .table: .core
        case .log: .log
        case .cell: .cell
        }
    }
}

/// A region's name, kind and schemas: everything a reader needs to decode its chunks.
public struct RegionSchema: Hashable, Sendable {
    /// The region's name, unique in its store.
    public var name: String
    /// What the region is.
    public var kind: RegionKind
    /// The key's fields; only tables have one.
    ///
    /// A key that is a single scalar, string or bytes is one
    /// field, number 1, named `key`.
    public var key: Schema?
    /// The row's fields.
    public var row: Schema

    /// Creates a region schema.
    public init(name: String, kind: RegionKind, key: Schema?, row: Schema) {
        self.name = name
        self.kind = kind
        self.key = key
        self.row = row
    }
}
