import CaesuraMacroExpansion
import SwiftCompilerPlugin
import SwiftSyntax
import SwiftSyntaxMacros

/// What the compiler starts to expand `@Schema` and `@Field`.
///
/// The expansion is a library of its own: a test that depended on this target would make the package
/// manager build every test of the package as a tool of the host.
@main
struct Plugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [Schema.self, Field.self]
}

/// `@Schema`, under the plug-in's name, by which the compiler looks for it.
enum Schema: ExtensionMacro, MemberAttributeMacro {
    static var formatMode: FormatMode { SchemaMacro.formatMode }

    static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingExtensionsOf type: some TypeSyntaxProtocol,
        conformingTo protocols: [TypeSyntax], in context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        try SchemaMacro.expansion(
            of: node, attachedTo: declaration, providingExtensionsOf: type,
            conformingTo: protocols, in: context)
    }

    static func expansion(
        of node: AttributeSyntax, attachedTo declaration: some DeclGroupSyntax,
        providingAttributesFor member: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [AttributeSyntax] {
        try SchemaMacro.expansion(
            of: node, attachedTo: declaration, providingAttributesFor: member, in: context)
    }
}

/// `@Field`, under the plug-in's name, by which the compiler looks for it.
enum Field: PeerMacro {
    static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        try FieldMacro.expansion(of: node, providingPeersOf: declaration, in: context)
    }
}
