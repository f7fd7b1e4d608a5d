import SwiftSyntax

/// Reads a struct's stored properties.
///
/// Numbers are checked against each other, so one reader serves all properties of a struct.
struct FieldReader {
    /// The schema's version, and where it could be raised.
    let version: Int
    let versionEdit: (Int) -> Findings.Edit?
    /// Whether the fields are a key's.
    let isKey: Bool
    /// Numbers and names that are never used again.
    let retiredNumbers: Set<Int>
    let retiredNames: Set<String>
    /// The lowest number above all that are taken.
    private(set) var nextNumber: Int
    /// The names of the fields that have a number.
    private var takers: [Int: String] = [:]

    /// Members of the generated types, which fields would hide.
    private static let reservedNames: Set = ["cursor", "_row"]

    init(
        version: Int, versionEdit: @escaping (Int) -> Findings.Edit?, isKey: Bool,
        retiredNumbers: Set<Int>, retiredNames: Set<String>, taken: some Sequence<Int>
    ) {
        self.version = version
        self.versionEdit = versionEdit
        self.isKey = isKey
        self.retiredNumbers = retiredNumbers
        self.retiredNames = retiredNames
        let highest = retiredNumbers.union(taken).filter(FieldReader.numbers.contains).max()
        nextNumber = (highest ?? 0) + 1
    }

    /// The numbers a field can have: 16 bits, without the zero that means none.
    static let numbers = 1...65_535

    /// Reads one variable declaration of the struct.
    ///
    /// - Returns: Nil if it is no field, or no field that could be understood.
    mutating func read(
        _ variable: VariableDeclSyntax, in findings: inout Findings
    ) -> FieldDeclaration? {
        guard let attribute = variable.attributes.named("Field") else {
            reportMissingAttribute(of: variable, in: &findings)
            return nil
        }
        guard let binding = checkForm(of: variable, attribute, in: &findings),
            let pattern = binding.pattern.as(IdentifierPatternSyntax.self)
        else { return nil }
        let name = pattern.identifier.text.filter { $0 != "`" }
        checkName(name, at: pattern, in: &findings)
        let number = readNumber(of: attribute, name, in: &findings)
        let since = readSince(of: attribute, name, in: &findings)
        guard let type = readType(of: binding, name, in: &findings) else { return nil }
        let defaultValue = readDefault(
            of: binding, name, type, since: since ?? 1, variable: variable, in: &findings)
        guard let number, let since else { return nil }
        let access = AccessLevel(variable.modifiers) ?? .internal
        let isLet = variable.bindingSpecifier.tokenKind == .keyword(.let)
        return FieldDeclaration(
            identifier: pattern.identifier.text, name: name, number: number, since: since,
            flags: attribute.argumentList.dropFirst().filter { $0.label == nil }
                .map(\.expression.trimmedDescription),
            formerNames: readFormerNames(of: attribute, name, in: &findings),
            deprecation: readDeprecation(
                of: attribute, name, hasDefault: defaultValue != nil, in: &findings),
            type: type, defaultValue: defaultValue,
            isDefaultLiteral: binding.initializer?.value.isLiteral ?? true, access: access,
            setterAccess: isLet
                ? nil : min(access, AccessLevel(setterOf: variable.modifiers) ?? access))
    }

    // MARK: - Form

    /// A stored property without `@Field` would be lost.
    private mutating func reportMissingAttribute(
        of variable: VariableDeclSyntax, in findings: inout Findings
    ) {
        let isStatic = variable.modifiers.contains {
            $0.name.tokenKind == .keyword(.static) || $0.name.tokenKind == .keyword(.class)
        }
        guard !isStatic else { return }
        for binding in variable.bindings where !binding.isComputed {
            let name = binding.pattern.trimmedDescription
            let isConstant =
                variable.bindingSpecifier.tokenKind == .keyword(.let) && binding.initializer != nil
            if isConstant {
                findings.report(
                    "unnumbered", "constant '\(name)' is not part of a row: make it 'static'",
                    at: binding.pattern,
                    correction: (
                        "make it 'static'",
                        .insert("static ", before: variable.bindingSpecifier)
                    ))
            } else {
                let first = variable.firstToken(viewMode: .sourceAccurate)
                findings.report(
                    "unnumbered",
                    "stored property '\(name)' has no number: write '@Field(\(nextNumber))'",
                    at: binding.pattern,
                    correction: variable.bindings.count == 1
                        ? first.map {
                            (
                                "write '@Field(\(nextNumber))'",
                                .insert("@Field(\(nextNumber)) ", before: $0)
                            )
                        } : nil)
                nextNumber += 1
            }
        }
    }

    /// A field is one stored property, whose every write goes through the table.
    private func checkForm(
        of variable: VariableDeclSyntax, _ attribute: AttributeSyntax, in findings: inout Findings
    ) -> PatternBindingSyntax? {
        guard variable.bindings.count == 1, let binding = variable.bindings.first,
            binding.pattern.is(IdentifierPatternSyntax.self)
        else {
            findings.report(
                "several", "'@Field' numbers one property: declare each on a line of its own",
                at: variable.bindings)
            return nil
        }
        let name = binding.pattern.trimmedDescription
        func refuse(_ what: String, at node: some SyntaxProtocol) {
            findings.report(
                "unstored", "'\(name)' is \(what), which has no place in a row: remove '@Field'",
                at: node, correction: ("remove '@Field'", .remove(attribute)))
        }
        for modifier in variable.modifiers {
            switch modifier.name.tokenKind {
            case .keyword(.static), .keyword(.class):
                refuse("static", at: modifier)
                return nil
            case .keyword(.lazy):
                findings.report(
                    "lazy", "'\(name)' is lazy, but a row holds every field: remove 'lazy'",
                    at: modifier, correction: ("remove 'lazy'", .remove(modifier)))
                return nil
            case .keyword(.weak), .keyword(.unowned):
                refuse("a reference", at: modifier)
                return nil
            default: break
            }
        }
        if let block = binding.accessorBlock {
            if binding.isComputed {
                refuse("computed", at: block)
            } else {
                findings.report(
                    "observed",
                    "'\(name)' has observers, which writes in the table would not call: remove them",
                    at: block, correction: ("remove the observers", .removeTail(block)))
            }
            return nil
        }
        let wrapper = variable.attributes.plain.first {
            $0.shortName != "Field" && $0.shortName.first?.isUppercase == true
        }
        if let wrapper {
            findings.report(
                "wrapped",
                "'\(name)' has '@\(wrapper.shortName)', but a field is a plain stored property:"
                    + " remove '@\(wrapper.shortName)'",
                at: wrapper,
                correction: ("remove '@\(wrapper.shortName)'", .remove(wrapper)))
            return nil
        }
        if variable.bindingSpecifier.tokenKind == .keyword(.let), binding.initializer != nil {
            findings.report(
                "constant", "'\(name)' cannot be read back, it is already set: make it 'var'",
                at: variable.bindingSpecifier,
                correction: ("make it 'var'", .replace(variable.bindingSpecifier, with: "var")))
            return nil
        }
        return binding
    }

    private func checkName(
        _ name: String, at pattern: IdentifierPatternSyntax, in findings: inout Findings
    ) {
        if Self.reservedNames.contains(name) {
            findings.report(
                "reserved",
                "'\(name)' is a member of the generated types: name the field otherwise",
                at: pattern)
        } else if !name.isIdentifierLike {
            findings.report(
                "name", "field names are letters, digits and '_': write '\(name.identifierLike)'",
                at: pattern)
        } else if retiredNames.contains(name) {
            findings.report(
                "retired", "the name '\(name)' is retired: data that had it means something else",
                at: pattern)
        }
    }

    // MARK: - Numbers

    private mutating func readNumber(
        of attribute: AttributeSyntax, _ name: String, in findings: inout Findings
    ) -> Int? {
        guard let argument = attribute.argumentList.first, argument.label == nil else {
            findings.report(
                "unnumbered", "field '\(name)' has no number: write '@Field(\(nextNumber))'",
                at: attribute)
            nextNumber += 1
            return nil
        }
        let expression = argument.expression
        func refuse(_ id: String, _ reason: String) -> Int? {
            findings.report(
                id, "\(reason): write \(nextNumber)", at: expression,
                correction: ("use \(nextNumber)", .replace(expression, with: "\(nextNumber)")))
            nextNumber += 1
            return nil
        }
        guard let number = expression.integerLiteral else {
            return refuse("number", "the number of field '\(name)' is not an integer literal")
        }
        guard Self.numbers.contains(number) else {
            return refuse(
                "number",
                "the number of field '\(name)' is \(expression.trimmedDescription), not 1 to 65535")
        }
        guard !retiredNumbers.contains(number) else {
            return refuse(
                "retired", "number \(number) is retired, data that had it means something else")
        }
        if let taker = takers[number] {
            return refuse("duplicate", "number \(number) belongs to field '\(taker)'")
        }
        takers[number] = name
        return number
    }

    private func readSince(
        of attribute: AttributeSyntax, _ name: String, in findings: inout Findings
    ) -> Int? {
        guard let expression = attribute.argument("since") else { return 1 }
        guard let since = expression.integerLiteral, since >= 1 else {
            findings.report(
                "since", "'since' of field '\(name)' is not a literal version: write \(version)",
                at: expression,
                correction: ("use \(version)", .replace(expression, with: "\(version)")))
            return nil
        }
        guard since <= version else {
            findings.report(
                "since",
                "field '\(name)' is there since version \(since), but the schema is at version"
                    + " \(version): raise the schema to version \(since)",
                at: expression,
                correction: versionEdit(since).map { ("raise the schema to version \(since)", $0) })
            return nil
        }
        return since
    }

    /// The former names as code; nil if there are none.
    private func readFormerNames(
        of attribute: AttributeSyntax, _ name: String, in findings: inout Findings
    ) -> String? {
        guard let expression = attribute.argument("formerly") else { return nil }
        let elements =
            expression.as(ArrayExprSyntax.self)?.elements.map(\.expression) ?? [expression]
        var names: Set = [name]
        for element in elements {
            guard let former = element.stringLiteral, former.isIdentifierLike else {
                findings.report(
                    "formerly",
                    "former names of field '\(name)' are literals of letters, digits and '_':"
                        + " write them as in [\"count\"]", at: element)
                return nil
            }
            guard names.insert(former).inserted else {
                findings.report(
                    "formerly",
                    former == name
                        ? "'\(name)' is the field's name now: remove it from 'formerly'"
                        : "'\(former)' is twice in 'formerly': remove one", at: element)
                return nil
            }
        }
        return elements.isEmpty ? nil : expression.trimmedDescription
    }

    // MARK: - Type and default

    private func readType(
        of binding: PatternBindingSyntax, _ name: String, in findings: inout Findings
    ) -> FieldSpelling? {
        guard let annotation = binding.typeAnnotation else {
            let guess = binding.initializer?.value.guessedType
            findings.report(
                "untyped",
                "field '\(name)' needs its type in writing: add ': \(guess ?? "Type")'",
                at: binding.pattern,
                correction: (
                    "add ': \(guess ?? "Type")'",
                    .insert(": \(guess ?? "<#Type#>")", after: binding.pattern)
                ))
            return nil
        }
        do {
            return try FieldSpelling(annotation.type)
        } catch {
            let node = error.node
            findings.report(
                "type", "type '\(node.trimmedDescription)' of field '\(name)' \(error.reason)",
                at: node,
                correction: error.replacement.map { ("use '\($0)'", .replace(node, with: $0)) })
            return nil
        }
    }

    private func readDefault(
        of binding: PatternBindingSyntax, _ name: String, _ type: FieldSpelling, since: Int,
        variable: VariableDeclSyntax, in findings: inout Findings
    ) -> String? {
        guard let value = binding.initializer?.value else {
            // Swift gives an optional variable the same default.
            if type.isOptional { return "nil" }
            guard since > 1 else { return nil }
            let isLet = variable.bindingSpecifier.tokenKind == .keyword(.let)
            let advice = "\(isLet ? "make it 'var' and " : "")write '= \(type.placeholder)'"
            findings.report(
                "undefaulted",
                "field '\(name)' was added in version \(since), rows of older versions lack it:"
                    + " give it a default"
                    + (type.placeholder.hasPrefix("<") ? "" : ", \(advice)"),
                at: binding,
                correction: isLet
                    ? nil
                    : (
                        "give it a default",
                        .insert(" = \(type.placeholder)", after: binding)
                    ))
            return nil
        }
        if let moment = value.firstMoment {
            findings.report(
                "moment",
                "the default of field '\(name)' differs each time it is asked for: give it a"
                    + " constant and set '\(moment.trimmedDescription)' in an initializer",
                at: moment)
            return nil
        }
        return value.trimmedDescription
    }
}

extension PatternBindingSyntax {
    /// Whether the property has no storage: a getter, but no observers.
    fileprivate var isComputed: Bool {
        switch accessorBlock?.accessors {
        case nil: false
        case .getter: true
        case .accessors(let accessors):
            !accessors.allSatisfy {
                [.keyword(.willSet), .keyword(.didSet)].contains($0.accessorSpecifier.tokenKind)
            }
        }
    }
}

extension ExprSyntax {
    /// Whether it is a literal that names nothing.
    fileprivate var isLiteral: Bool {
        switch kind {
        case .integerLiteralExpr, .floatLiteralExpr, .booleanLiteralExpr, .nilLiteralExpr: true
        case .stringLiteralExpr: stringLiteral != nil
        default: false
        }
    }

    /// The type to suggest for a property with this initial value.
    fileprivate var guessedType: String? {
        if self.is(BooleanLiteralExprSyntax.self) { return "Bool" }
        if self.is(StringLiteralExprSyntax.self) { return "String" }
        if self.is(IntegerLiteralExprSyntax.self) { return "Int64" }
        if self.is(FloatLiteralExprSyntax.self) { return "Double" }
        let callee = self.as(FunctionCallExprSyntax.self)?.calledExpression
        return callee?.as(DeclReferenceExprSyntax.self).flatMap {
            $0.baseName.text.first?.isUppercase == true ? $0.baseName.text : nil
        }
    }

    /// The first part whose value depends on when or where it is asked for: the schema, and with it
    /// its fingerprint, would differ from process to process.
    fileprivate var firstMoment: Syntax? {
        let visitor = MomentVisitor(viewMode: .sourceAccurate)
        visitor.walk(self)
        return visitor.moment
    }
}

/// Looks for `.now`, `random` and `UUID()`.
private final class MomentVisitor: SyntaxVisitor {
    var moment: Syntax?

    override func visit(_ node: MemberAccessExprSyntax) -> SyntaxVisitorContinueKind {
        if ["now", "random"].contains(node.declName.baseName.text) {
            moment = moment ?? Syntax(node)
        }
        return .visitChildren
    }

    override func visit(_ node: FunctionCallExprSyntax) -> SyntaxVisitorContinueKind {
        let callee = node.calledExpression.as(DeclReferenceExprSyntax.self)?.baseName.text
        if ["UUID", "Date"].contains(callee), node.arguments.isEmpty {
            moment = moment ?? Syntax(node)
        }
        return .visitChildren
    }
}
