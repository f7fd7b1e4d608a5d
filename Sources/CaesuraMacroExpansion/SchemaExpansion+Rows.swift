/// Access to the fields of one row in a page.
extension SchemaExpansion {
    /// The struct that a read is given.
    var reader: String {
        let row = schema.isInlinable ? "@usableFromInline" : "private"
        var members = [
            "\(row) let _row: Caesura.RowView",
            "\(inlinable)\(access)init(_ row: Caesura.RowView) { _row = row }",
        ]
        for field in schema.fields {
            let access = min(schema.access, field.access).modifier
            let stored = "_row.stored(as: Stored.self).pointee.\(field.identifier)"
            let warning = warning(of: field)
            members.append(
                """
                \(warning)\(inlinable)\(access)var \(field.identifier): \(field.type.written) {
                    unsafe \(field.type.expression).load(\(stored), from: _row.heap)
                }
                """)
            if field.type.kind == .bytes, !field.type.isOptional {
                members.append(
                    """
                    \(warning)\(inlinable)\(access)func with\(field.name.capitalized)<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe \(field.type.expression).withBytes(
                            of: \(stored), in: _row.heap, body)
                    }
                    """)
            }
        }
        return rowStruct("Reader", conformance: "RowReading", members)
    }

    /// The struct that an update is given.
    var editor: String {
        var members = [
            "\(access)var cursor: Caesura.RowCursor",
            "\(inlinable)\(access)init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }",
        ]
        for (index, field) in schema.fields.enumerated() {
            let access = min(schema.access, field.access)
            var setter = ""
            var setterAccess = ""
            if let restricted = field.setterAccess, !field.isUnwritten(in: schema.version) {
                setter = "\n" + set(field, index: index).indented
                if restricted < access {
                    setterAccess = restricted == .internal ? "internal" : restricted.modifier
                    setterAccess = setterAccess.filter { $0 != " " } + "(set) "
                }
            }
            members.append(
                """
                \(warning(of: field))\(inlinable)\(access.modifier)\(setterAccess)var \
                \(field.identifier): \(field.type.written) {
                    get {
                        unsafe \(field.type.expression).load(
                            cursor.stored(as: Stored.self).pointee.\(field.identifier),
                            from: cursor.heap.view)
                    }\(setter)
                }
                """)
        }
        return rowStruct("Editor", conformance: "RowEditing", members)
    }

    /// The attribute of a deprecated field's accessors, on a line of its own.
    private func warning(of field: FieldDeclaration) -> String {
        field.deprecation.map { $0.availability + "\n" } ?? ""
    }

    /// The setter of one field.
    ///
    /// A reservation may move the page, so the pointer is taken after it. A scalar reserves and
    /// discards nothing.
    private func set(_ field: FieldDeclaration, index: Int) -> String {
        let type = field.type.expression
        if field.type.isScalar {
            return """
                set {
                    unsafe cursor.stored(as: Stored.self).pointee.\(field.identifier) =
                        \(type).place(newValue, in: &cursor.heap)
                    cursor.markChanged(field: \(index))
                }
                """
        }
        return """
            set {
                unsafe cursor.reserve(
                    for: newValue, replacing: cursor.stored(as: Stored.self).pointee.\(field.identifier))
                let stored = unsafe cursor.stored(as: Stored.self)
                unsafe \(type).replace(
                    &stored.pointee.\(field.identifier), with: newValue, in: &cursor.heap)
                cursor.markChanged(field: \(index))
            }
            """
    }

    /// A struct over one row, which only the library makes and which cannot be copied out of the
    /// closure that is given it.
    private func rowStruct(
        _ name: String, conformance: String, _ members: [String]
    ) -> String {
        let frozen = schema.isInlinable ? "@frozen " : ""
        return """
            \(frozen)\(access)nonisolated struct \(name): Caesura.\(conformance), ~Copyable {
            \(members.joined(separator: "\n\n").indented)
            }
            """
    }
}

extension String {
    /// The text with an upper-case first letter.
    var capitalized: String { prefix(1).uppercased() + dropFirst() }
}
