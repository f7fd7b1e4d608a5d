import SwiftSyntax

extension FieldReader {
    /// The versions in which the field goes; nil if it does not.
    func readDeprecation(
        of attribute: AttributeSyntax, _ name: String, hasDefault: Bool, in findings: inout Findings
    ) -> FieldDeclaration.Deprecation? {
        let labels = ["deprecated", "unwritten", "gone"]
        let arguments = labels.map { attribute.argument($0) }
        guard let first = arguments.compactMap(\.self).first else { return nil }
        func refuse(_ message: String, at expression: ExprSyntax) -> FieldDeclaration.Deprecation? {
            findings.report("deprecation", message, at: expression)
            return nil
        }
        guard let deprecated = arguments[0] else {
            return refuse(
                "field '\(name)' goes, but is not deprecated: add 'deprecated: \(version)'",
                at: first)
        }
        if isKey {
            return refuse(
                "'\(name)' is part of a key, which never changes: remove 'deprecated'",
                at: deprecated)
        }
        for (label, expression) in zip(labels, arguments) {
            guard let expression, expression.integerLiteral ?? 0 < 1 else { continue }
            return refuse("'\(label)' of field '\(name)' is not a literal version", at: expression)
        }
        let deprecation = FieldDeclaration.Deprecation(
            since: deprecated.integerLiteral ?? 0, unwritten: arguments[1]?.integerLiteral,
            gone: arguments[2]?.integerLiteral)
        guard deprecation.since <= version else {
            findings.report(
                "deprecation",
                "field '\(name)' is deprecated since version \(deprecation.since), but the schema is at version"
                    + " \(version): raise the schema to version \(deprecation.since)",
                at: deprecated,
                correction: versionEdit(deprecation.since).map {
                    ("raise the schema to version \(deprecation.since)", $0)
                })
            return nil
        }
        if let unwritten = deprecation.unwritten, let expression = arguments[1] {
            guard unwritten >= deprecation.since else {
                return refuse(
                    "field '\(name)' is deprecated before it is not written any more",
                    at: expression)
            }
            guard hasDefault else {
                return refuse(
                    "field '\(name)' will not be written, so rows need something in its place: give it a default",
                    at: expression)
            }
        }
        if let gone = deprecation.gone, let expression = arguments[2] {
            guard gone > max(deprecation.since, deprecation.unwritten ?? 0) else {
                return refuse(
                    "field '\(name)' goes after it is deprecated and not written", at: expression)
            }
            guard gone > version else {
                return refuse(
                    "field '\(name)' is gone in version \(gone): remove it, and add its number and name to"
                        + " 'retired'", at: expression)
            }
        }
        return deprecation
    }
}
