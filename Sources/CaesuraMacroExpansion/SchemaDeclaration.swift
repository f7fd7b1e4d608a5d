/// A struct with `@Schema`, as far as the expansion needs it.
struct SchemaDeclaration {
    /// The type as an extension names it.
    let type: String
    /// The schema's name.
    let name: String
    /// The schema's version.
    let version: Int
    /// The retired fields, as they are written: an array, or nil.
    let retired: String?
    /// Who sees the struct.
    let access: AccessLevel
    /// Whether the struct declares `TableKey`.
    let isKey: Bool
    /// Whether the extension has to state the conformance to `SchemaStruct`.
    let isConforming: Bool
    /// The fields in declaration order.
    let fields: [FieldDeclaration]

    /// The fields in the order in which `Stored` holds them: no padding between them.
    var storedFields: [FieldDeclaration] {
        // Swift's sort is stable, so equals stay in declaration order.
        fields.sorted { $0.type.rank < $1.type.rank }
    }

    /// The fields of which who uses them is warned.
    var deprecatedFields: [FieldDeclaration] { fields.filter { $0.deprecation != nil } }

    /// Whether the code can be inlined into other modules: it is public and sees public things only.
    var isInlinable: Bool {
        access == .public
            && fields.allSatisfy { $0.access == .public && $0.setterAccess ?? .public == .public }
    }
}
