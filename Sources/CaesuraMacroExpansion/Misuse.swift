import SwiftDiagnostics
import SwiftSyntax

/// A mistake in the use of `@Schema` or `@Field`: what is wrong, and what to write instead.
///
/// Each has an identifier of its own, so that tests and editors need not compare sentences.
struct Misuse: DiagnosticMessage {
    let id: String
    let message: String
    let severity = DiagnosticSeverity.error

    var diagnosticID: MessageID { MessageID(domain: "Caesura", id: id) }
}

/// A mechanical correction of a ``Misuse``.
struct Correction: FixItMessage {
    let id: String
    let message: String

    var fixItID: MessageID { MessageID(domain: "Caesura", id: id) }
}

/// The mistakes found in one struct.
///
/// Reading goes on after a mistake, so that one build shows them all.
struct Findings {
    private(set) var diagnostics: [Diagnostic] = []

    /// A replacement of some text in the source.
    struct Edit {
        let range: Range<AbsolutePosition>
        let text: String
        let node: Syntax

        /// Replaces a node, but not the white space around it.
        static func replace(_ node: some SyntaxProtocol, with text: String) -> Edit {
            let start = node.positionAfterSkippingLeadingTrivia
            let end = node.endPositionBeforeTrailingTrivia
            return Edit(range: start..<end, text: text, node: Syntax(node))
        }

        /// Removes a node and the white space after it.
        static func remove(_ node: some SyntaxProtocol) -> Edit {
            let start = node.positionAfterSkippingLeadingTrivia
            return Edit(range: start..<node.endPosition, text: "", node: Syntax(node))
        }

        /// Removes a node and the white space before it.
        static func removeTail(_ node: some SyntaxProtocol) -> Edit {
            let before = node.previousToken(viewMode: .sourceAccurate)
            let start = before?.endPositionBeforeTrailingTrivia ?? node.position
            return Edit(
                range: start..<node.endPositionBeforeTrailingTrivia, text: "", node: Syntax(node))
        }

        /// Puts text before a node.
        static func insert(_ text: String, before node: some SyntaxProtocol) -> Edit {
            let start = node.positionAfterSkippingLeadingTrivia
            return Edit(range: start..<start, text: text, node: Syntax(node))
        }

        /// Puts text after a node.
        static func insert(_ text: String, after node: some SyntaxProtocol) -> Edit {
            let end = node.endPositionBeforeTrailingTrivia
            return Edit(range: end..<end, text: text, node: Syntax(node))
        }
    }

    /// Notes a mistake at a node.
    mutating func report(
        _ id: String, _ message: String, at node: some SyntaxProtocol,
        correction: (message: String, edit: Edit)? = nil
    ) {
        let fixIts = correction.map { correction in
            FixIt(
                message: Correction(id: id, message: correction.message),
                changes: [
                    .replaceText(
                        range: correction.edit.range, with: correction.edit.text,
                        in: correction.edit.node)
                ])
        }
        diagnostics.append(
            Diagnostic(
                node: node, message: Misuse(id: id, message: message),
                fixIts: fixIts.map { [$0] } ?? []))
    }
}
