public import SwiftSyntax
import SwiftSyntaxBuilder
public import SwiftSyntaxMacros

extension SchemaMacro: MemberAttributeMacro {
    /// Marks a property whose field is deprecated, unless it is marked already.
    public static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingAttributesFor member: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [AttributeSyntax] {
        guard let variable = member.as(VariableDeclSyntax.self),
            let field = variable.attributes.named("Field"), field.argument("deprecated") != nil,
            !variable.attributes.plain.contains(where: { $0.shortName == "available" })
        else { return [] }
        // Read once more; a struct with mistakes gets nothing.
        var reader = SchemaReader(attribute: node)
        let schema = reader.read(
            declaration, as: TypeSyntax("Self"), isConforming: true,
            lexicalContext: context.lexicalContext)
        let name = variable.bindings.first?.pattern.trimmedDescription
        guard let deprecation = schema?.fields.first(where: { $0.identifier == name })?.deprecation
        else { return [] }
        return ["\(raw: deprecation.availability)"]
    }
}

extension FieldDeclaration.Deprecation {
    /// The attribute that makes the compiler warn.
    var availability: String {
        var message = "deprecated since version \(since)"
        if let unwritten { message += ", not written from version \(unwritten) on" }
        if let gone { message += ", gone in version \(gone)" }
        return "@available(*, deprecated, message: \"\(message)\")"
    }
}
