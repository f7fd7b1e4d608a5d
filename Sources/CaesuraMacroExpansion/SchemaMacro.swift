public import SwiftSyntax
import SwiftSyntaxBuilder
public import SwiftSyntaxMacros

/// `@Schema`: conforms a plain struct to `SchemaStruct`.
///
/// All generated code is in one extension, see ``SchemaExpansion``. A struct with a mistake gets no
/// extension: the mistakes are reported, not what follows from them.
public enum SchemaMacro: ExtensionMacro {
    /// The expansion is laid out as it is to be read; formatting it again would only take time.
    public static var formatMode: FormatMode { .disabled }

    /// Writes the extension, or reports what is wrong.
    public static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingExtensionsOf type: some TypeSyntaxProtocol,
        conformingTo protocols: [TypeSyntax], in context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        var reader = SchemaReader(attribute: node)
        let schema = reader.read(
            declaration, as: type,
            isConforming: protocols.contains {
                // Not `DeprecatingSchemaStruct`, which is asked for beside it.
                $0.trimmedDescription.split(separator: ".").last == "SchemaStruct"
            },
            lexicalContext: context.lexicalContext)
        reader.findings.diagnostics.forEach(context.diagnose)
        guard let schema else { return [] }
        let source = SchemaExpansion(schema).source
        return [try ExtensionDeclSyntax("\(raw: source)")]
    }
}
