/// A stored property with `@Field`, as far as the expansion needs it.
struct FieldDeclaration {
    /// The property as it is written in code, with backticks where it has them.
    let identifier: String
    /// The property's name.
    let name: String
    /// The number that identifies the field for ever.
    let number: Int
    /// The schema version that added it.
    let since: Int
    /// The flags, as they are written.
    let flags: [String]
    /// Names that it had, as they are written: an array, or nil.
    let formerNames: String?
    /// When it goes, if it does.
    let deprecation: Deprecation?
    /// The type.
    let type: FieldSpelling
    /// The default, as it is written.
    let defaultValue: String?
    /// Whether the default means the same wherever it is written: a literal.
    let isDefaultLiteral: Bool
    /// Who sees the property.
    let access: AccessLevel
    /// Who can set the property, or nil for a `let`.
    let setterAccess: AccessLevel?

    /// The schema versions in which a field goes.
    struct Deprecation {
        let since: Int
        let unwritten: Int?
        let gone: Int?
    }

    /// Whether a version writes the default instead of the field.
    func isUnwritten(in version: Int) -> Bool { deprecation?.unwritten ?? .max <= version }
}
