import SwiftParser
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacros
import SwiftSyntaxMacrosGenericTestSupport
import Testing

@testable import CaesuraMacroExpansion

private let macros = [
    "Schema": MacroSpec(
        type: SchemaMacro.self, conformances: ["SchemaStruct", "DeprecatingSchemaStruct"]),
    "Field": MacroSpec(type: FieldMacro.self),
]

/// Expects a source to expand to exactly another, without a diagnostic.
func expectExpansion(
    _ source: String, _ expanded: String, sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
    assertMacroExpansion(source, expandedSource: expanded, macroSpecs: macros) {
        Issue.record("\($0.message)", sourceLocation: sourceLocation)
    }
}

/// A correction that is offered: its sentence, and the line it makes of the marked one.
struct ExpectedCorrection {
    let message: String
    let line: String
    /// Which line changes, when it is not the marked one.
    var at: Int?

    init(_ message: String, _ line: String, at: Int? = nil) {
        self.message = message
        self.line = line
        self.at = at
    }
}

/// Expects a source to be refused with one sentence, at the place that an arrow marks.
///
/// It is given no extension, and is offered one correction or none. The compiler itself may have
/// something to say before.
func expectMisuse(
    _ marked: String, _ message: String, correction: ExpectedCorrection? = nil,
    after others: [DiagnosticSpec] = [],
    sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
    var lines = marked.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let line = lines.firstIndex(where: { $0.contains("→") }),
        let mark = lines[line].utf8.firstIndex(of: "→".utf8.first ?? 0)
    else {
        Issue.record("no place is marked with →", sourceLocation: sourceLocation)
        return
    }
    let column = lines[line].utf8.distance(from: lines[line].startIndex, to: mark) + 1
    lines[line].remove(at: mark)
    let source = lines.joined(separator: "\n")
    if let correction { lines[correction.at.map { $0 - 1 } ?? line] = correction.line }
    assertMacroExpansion(
        source, expandedSource: sourceWithoutMacros(source),
        diagnostics: others + [
            DiagnosticSpec(
                message: message, line: line + 1, column: column,
                fixIts: correction.map { [FixItSpec(message: $0.message)] } ?? [])
        ],
        macroSpecs: macros, fixedSource: lines.joined(separator: "\n")
    ) {
        Issue.record("\($0.message)", sourceLocation: sourceLocation)
    }
}

/// The source with its attributes taken away, as an expansion to nothing leaves it.
private func sourceWithoutMacros(_ source: String) -> String {
    Parser.parse(source: source).expand(
        macros: ["Schema": NothingMacro.self, "Field": NothingMacro.self],
        contextGenerator: { _ in BasicMacroExpansionContext() },
        indentationWidth: .spaces(4)
    ).description
}

private enum NothingMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] { [] }
}
