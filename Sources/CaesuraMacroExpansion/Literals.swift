import SwiftSyntax

extension ExprSyntax {
    /// The value of an integer literal, or nil for any other expression.
    var integerLiteral: Int? {
        guard let literal = self.as(IntegerLiteralExprSyntax.self) else { return nil }
        let digits = literal.literal.text.filter { $0 != "_" }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return Int(digits.dropFirst(2), radix: radix)
        }
        // A literal that does not fit an Int is too large for every use here.
        return Int(digits) ?? .max
    }

    /// The text of a string literal without interpolation, or nil for any other expression.
    ///
    /// Escapes stay as they are written: no name may have one.
    var stringLiteral: String? {
        guard let literal = self.as(StringLiteralExprSyntax.self) else { return nil }
        let segments = literal.segments.map { $0.as(StringSegmentSyntax.self)?.content.text }
        return segments.contains(nil) ? nil : segments.compactMap(\.self).joined()
    }
}

extension AttributeSyntax {
    /// The name without its module: `Field` for `@Caesura.Field`.
    var shortName: String {
        attributeName.as(MemberTypeSyntax.self)?.name.text
            ?? attributeName.as(IdentifierTypeSyntax.self)?.name.text
            ?? attributeName.trimmedDescription
    }

    /// The arguments in parentheses.
    var argumentList: [LabeledExprSyntax] {
        arguments?.as(LabeledExprListSyntax.self).map(Array.init) ?? []
    }

    /// The argument with a label.
    func argument(_ label: String) -> ExprSyntax? {
        argumentList.first { $0.label?.text == label }?.expression
    }
}

extension AttributeListSyntax {
    /// The attributes of this list that are not in an `#if`.
    var plain: [AttributeSyntax] {
        compactMap { $0.as(AttributeSyntax.self) }
    }

    /// The attribute with a name.
    func named(_ name: String) -> AttributeSyntax? {
        plain.first { $0.shortName == name }
    }
}

extension String {
    /// Whether this could be an identifier, so that tools can print and read it without quotes.
    var isIdentifierLike: Bool {
        guard let first, first.isLetter || first == "_" else { return false }
        return allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    /// The nearest string that ``isIdentifierLike``.
    var identifierLike: String {
        let characters = String(map { $0.isLetter || $0.isNumber || $0 == "_" ? $0 : "_" })
        return characters.isIdentifierLike ? characters : "_" + characters
    }
}
