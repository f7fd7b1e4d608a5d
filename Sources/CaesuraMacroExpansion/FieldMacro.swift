public import SwiftSyntax
public import SwiftSyntaxMacros

/// `@Field`: marks a stored property for `@Schema` and expands to nothing.
///
/// It reports where it stands on something that no `@Schema` reads. On the properties of a
/// `@Schema` struct it leaves the reporting to that.
public enum FieldMacro: PeerMacro {
    /// Reports a `@Field` in the wrong place.
    public static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
        var findings = Findings()
        let owner = context.lexicalContext.first
        let attributes = owner?.asProtocol((any WithAttributesSyntax).self)?.attributes
        if !declaration.is(VariableDeclSyntax.self) {
            findings.report(
                "misplaced", "'@Field' numbers a stored property: remove it", at: node,
                correction: ("remove '@Field'", .remove(node)))
        } else if attributes?.named("Schema") == nil {
            let name = owner?.as(StructDeclSyntax.self)?.name.text
            findings.report(
                "misplaced",
                name.map { "'@Field' needs '@Schema' on struct '\($0)'" }
                    ?? "'@Field' belongs on a stored property of a struct with '@Schema'",
                at: node)
        }
        findings.diagnostics.forEach(context.diagnose)
        return []
    }
}
