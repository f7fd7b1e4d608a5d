import SwiftSyntax

/// Reads a declaration with `@Schema` and reports every mistake in it.
struct SchemaReader {
    private(set) var findings = Findings()
    private let attribute: AttributeSyntax

    init(attribute: AttributeSyntax) { self.attribute = attribute }

    /// Reads the declaration.
    ///
    /// - Returns: Nil if there were mistakes.
    mutating func read(
        _ declaration: some DeclGroupSyntax, as type: some TypeSyntaxProtocol,
        isConforming: Bool, lexicalContext: [Syntax]
    ) -> SchemaDeclaration? {
        guard let declaration = readStruct(declaration) else { return nil }
        checkSurroundings(of: declaration, lexicalContext)
        let name = readName()
        let version = readVersion()
        var reader = fieldReader(of: declaration, version: version ?? .max)
        var fields: [FieldDeclaration] = []
        for member in declaration.memberBlock.members {
            if let variable = member.decl.as(VariableDeclSyntax.self) {
                if let field = reader.read(variable, in: &findings) { fields.append(field) }
            } else {
                check(member: member.decl)
            }
        }
        if fields.isEmpty, findings.diagnostics.isEmpty {
            findings.report(
                "empty", "struct '\(declaration.name.text)' has no fields: write '@Field(1) var …'",
                at: declaration.name)
        }
        guard findings.diagnostics.isEmpty, let name, let version else { return nil }
        return SchemaDeclaration(
            type: type.trimmedDescription, name: name, version: version, retired: readRetired(),
            access: access(of: declaration, lexicalContext),
            isKey: declaration.inherits("TableKey"),
            isConforming: isConforming, fields: fields)
    }

    // MARK: - The struct

    private mutating func readStruct(_ declaration: some DeclGroupSyntax) -> StructDeclSyntax? {
        if let declaration = declaration.as(StructDeclSyntax.self) { return declaration }
        if let declaration = declaration.as(ClassDeclSyntax.self) {
            let isPlain = declaration.inheritanceClause == nil
            findings.report(
                "kind",
                "class '\(declaration.name.text)' is a reference, but a row is a value:"
                    + " make it a struct",
                at: declaration.classKeyword,
                correction: isPlain
                    ? (
                        "make it a struct",
                        .replace(declaration.classKeyword, with: "struct")
                    ) : nil)
        } else if let declaration = declaration.as(ActorDeclSyntax.self) {
            findings.report(
                "kind",
                "actor '\(declaration.name.text)' is a reference, but a row is a value:"
                    + " make it a struct",
                at: declaration.actorKeyword,
                correction: ("make it a struct", .replace(declaration.actorKeyword, with: "struct"))
            )
        } else if let declaration = declaration.as(EnumDeclSyntax.self) {
            findings.report(
                "kind",
                "enum '\(declaration.name.text)' has no fields: give it a raw value and declare"
                    + " 'SchemaEnum' instead of '@Schema'",
                at: declaration.enumKeyword)
        } else {
            findings.report(
                "kind", "'@Schema' belongs on the declaration of a struct: move it there",
                at: attribute)
        }
        return nil
    }

    private mutating func checkSurroundings(
        of declaration: StructDeclSyntax, _ lexicalContext: [Syntax]
    ) {
        if let parameters = declaration.genericParameterClause {
            findings.report(
                "generic",
                "struct '\(declaration.name.text)' is generic, but a schema has fixed types:"
                    + " name concrete types",
                at: parameters)
        }
        for context in lexicalContext {
            let isType = context.asProtocol((any DeclGroupSyntax).self) != nil
            if context.asProtocol((any WithGenericParametersSyntax).self)?.genericParameterClause
                != nil, isType
            {
                findings.report(
                    "generic",
                    "struct '\(declaration.name.text)' is in a generic type: move it out",
                    at: declaration.name)
                break
            }
            if !isType {
                findings.report(
                    "local",
                    "struct '\(declaration.name.text)' is local, so it cannot be extended:"
                        + " move it out",
                    at: declaration.name)
                break
            }
        }
        let suppressed = declaration.inheritanceClause?.inheritedTypes.first {
            $0.type.is(SuppressedTypeSyntax.self)
        }
        if let suppressed {
            findings.report(
                "noncopyable", "rows are copied: remove '\(suppressed.type.trimmedDescription)'",
                at: suppressed)
        }
    }

    /// Checks a member that is no variable.
    private mutating func check(member: DeclSyntax) {
        if let conditional = member.as(IfConfigDeclSyntax.self) {
            let hasVariables = conditional.clauses.contains { clause in
                clause.elements?.as(MemberBlockItemListSyntax.self)?.contains {
                    $0.decl.as(VariableDeclSyntax.self)?.attributes.named("Field") != nil
                } ?? false
            }
            if hasVariables {
                findings.report(
                    "conditional", "a schema is the same in every build: move fields out of '#if'",
                    at: conditional.clauses.first?.poundKeyword ?? .poundToken())
            }
        }
        let generated: Set = ["Stored", "Reader", "Editor"]
        if let named = member.asProtocol((any NamedDeclSyntax).self),
            generated.contains(named.name.text), !member.is(FunctionDeclSyntax.self)
        {
            findings.report(
                "reserved",
                "'@Schema' generates a type '\(named.name.text)': name this one otherwise",
                at: named.name)
        }
    }

    /// The struct's access; without a modifier it is its extension's.
    private func access(
        of declaration: StructDeclSyntax, _ lexicalContext: [Syntax]
    ) -> AccessLevel {
        if let access = AccessLevel(declaration.modifiers) {
            // Members of a private type are as visible as the type without a modifier.
            return max(access, .internal)
        }
        let extended = lexicalContext.first?.as(ExtensionDeclSyntax.self)
        return max(extended.flatMap { AccessLevel($0.modifiers) } ?? .internal, .internal)
    }

    // MARK: - The attribute

    private mutating func readName() -> String? {
        guard let argument = attribute.argumentList.first, argument.label == nil else {
            findings.report(
                "name", "the schema has no name: write '@Schema(\"name\")'", at: attribute)
            return nil
        }
        guard let name = argument.expression.stringLiteral else {
            findings.report(
                "name", "the schema's name must be a plain string literal", at: argument.expression)
            return nil
        }
        if name.isEmpty {
            findings.report(
                "name", "the schema's name is empty: name what a row is, as in \"session\"",
                at: argument.expression)
            return nil
        }
        guard name.isIdentifierLike else {
            let suggestion = "\"\(name.identifierLike)\""
            findings.report(
                "name", "a schema's name is letters, digits and '_': write \(suggestion)",
                at: argument.expression,
                correction: ("use \(suggestion)", .replace(argument.expression, with: suggestion)))
            return nil
        }
        return name
    }

    private mutating func readVersion() -> Int? {
        guard let expression = attribute.argument("version") else { return 1 }
        guard let version = expression.integerLiteral, version >= 1, version <= UInt32.max else {
            findings.report(
                "version",
                "the schema's version is not a literal from 1 upwards: write 1 until it has shipped",
                at: expression, correction: ("use 1", .replace(expression, with: "1")))
            return nil
        }
        return version
    }

    /// The retired fields as code; nil if there are none.
    private func readRetired() -> String? {
        guard let retired = attribute.argument("retired") else { return nil }
        let elements = retired.as(ArrayExprSyntax.self)?.elements.map(\.expression) ?? [retired]
        return elements.isEmpty
            ? nil : "[\(elements.map(\.trimmedDescription).joined(separator: ", "))]"
    }

    /// A reader that knows which numbers and names the struct must not use.
    private mutating func fieldReader(
        of declaration: StructDeclSyntax, version: Int
    ) -> FieldReader {
        var numbers: Set<Int> = []
        var names: Set<String> = []
        if let retired = attribute.argument("retired") {
            let elements = retired.as(ArrayExprSyntax.self)?.elements.map(\.expression)
            for element in elements ?? [retired] {
                if let number = element.integerLiteral, FieldReader.numbers.contains(number) {
                    numbers.insert(number)
                } else if let name = element.stringLiteral {
                    names.insert(name)
                } else {
                    findings.report(
                        "retired",
                        "retired fields are literals, numbers from 1 to 65535 or names:"
                            + " write them as in [5, \"country\"]",
                        at: element)
                }
            }
        }
        let taken = declaration.memberBlock.members.compactMap { member in
            member.decl.as(VariableDeclSyntax.self)?.attributes.named("Field")?
                .argumentList.first?.expression.integerLiteral
        }
        let attribute = attribute
        return FieldReader(
            version: version,
            versionEdit: { needed in
                if let version = attribute.argument("version") {
                    return .replace(version, with: "\(needed)")
                }
                let name = attribute.argumentList.first?.expression
                return name.map { .insert(", version: \(needed)", after: $0) }
            },
            isKey: declaration.inherits("TableKey"), retiredNumbers: numbers, retiredNames: names,
            taken: taken)
    }
}

extension DeclGroupSyntax {
    /// Whether the inheritance clause names a protocol, alone or in a composition.
    fileprivate func inherits(_ name: String) -> Bool {
        func names(_ type: TypeSyntax) -> Bool {
            if let type = type.as(IdentifierTypeSyntax.self) { return type.name.text == name }
            if let type = type.as(MemberTypeSyntax.self) { return type.name.text == name }
            if let type = type.as(CompositionTypeSyntax.self) {
                return type.elements.contains { names($0.type) }
            }
            return false
        }
        return inheritanceClause?.inheritedTypes.contains { names($0.type) } ?? false
    }
}
