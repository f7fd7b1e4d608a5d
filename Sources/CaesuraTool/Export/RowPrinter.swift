import CaesuraFormat

/// Prints rows of any region as lines of JSON or CSV, from columns alone.
///
///     JSON   {"key": …, "row": {…}}     a key of one field named `key` is that field's value
///     CSV    a heading, then a line a row; fields of structs have a column each, named `outer.inner`
///
/// Integers are printed in full, whatever their width. Bytes are in hexadecimal, times as RFC 3339, cases of
/// enumerations by their names. What is absent is `null` in JSON and nothing in CSV, where an empty string is
/// `""`. Fields marked sensitive are left out unless they are asked for.
struct RowPrinter {
    /// The two kinds of lines.
    enum Format: String, CaseIterable, Sendable {
        case jsonl
        case csv
    }

    private let format: Format
    private let leaves: [LeafColumn]
    private let key: RowTree?
    private let row: RowTree
    private let isShown: [Bool]
    /// For each column of an enumeration the names of its raw values, as those are printed.
    private let names: [[String: String]]
    /// What was printed and not yet taken.
    private(set) var bytes: [UInt8] = []

    init(_ region: RegionSchema, format: Format, includingSensitive: Bool) {
        self.format = format
        leaves = region.leaves
        let trees = RowTree.trees(of: region)
        // A key that is one value is printed as that value.
        if let fields = region.key?.fields, fields.count == 1, fields[0].name == "key",
            case .structure(let only)? = trees.key
        {
            key = only[0].tree
        } else {
            key = trees.key
        }
        row = trees.row
        isShown = leaves.map { includingSensitive || !$0.flags.contains(.sensitive) }
        names = leaves.map { leaf in
            guard case .enumeration(_, let cases) = leaf.type else { return [:] }
            return Dictionary(
                cases.map { (Self.rawText($0.raw), $0.name) },
                uniquingKeysWith: { first, _ in first })
        }
    }

    /// Forgets what was printed and keeps the memory.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Prints the line above the rows; JSON has none.
    mutating func appendHeading() {
        guard format == .csv else { return }
        let hasPlainKey = leaves.filter(\.isKey).allSatisfy { $0.name == "key" }
        let columns = leaves.indices.filter { isShown[$0] && leaves[$0].kind != .presence }
        for (position, leaf) in columns.enumerated() {
            if position > 0 { append(",") }
            let name = leaves[leaf].name
            appendCSV(leaves[leaf].isKey && !hasPlainKey ? "key." + name : name)
        }
        append("\n")
    }

    /// Prints all rows of a batch.
    mutating func append(_ batch: ColumnBatch, large: [RowCursor.LargeValueKey: [UInt8]]) {
        var cursor = RowCursor(batch, large: large)
        for index in 0..<batch.rowCount {
            cursor.row = index
            switch format {
            case .jsonl: appendJSONLine(&cursor)
            case .csv: appendCSVLine(&cursor)
            }
        }
    }

    // MARK: JSON

    private mutating func appendJSONLine(_ cursor: inout RowCursor) {
        append("{")
        if let key {
            append("\"key\":")
            appendJSON(key, &cursor)
            append(",")
        }
        append("\"row\":")
        appendJSON(row, &cursor)
        append("}\n")
    }

    private mutating func appendJSON(_ tree: RowTree, _ cursor: inout RowCursor) {
        switch tree {
        case .leaf(let leaf): appendJSON(leaf, &cursor)
        case .optional(let presence, let wrapped):
            if cursor.isPresent(presence) {
                appendJSON(wrapped, &cursor)
            } else {
                append("null")
            }
        case .structure(let fields):
            append("{")
            var isFirst = true
            for field in fields {
                let start = bytes.count
                if !isFirst { append(",") }
                bytes.append(contentsOf: field.label)
                appendJSON(field.tree, &cursor)
                // Printed all the same, so that the cursor passes it, and taken back.
                if isHidden(field.tree) {
                    bytes.removeLast(bytes.count - start)
                } else {
                    isFirst = false
                }
            }
            append("}")
        }
    }

    private mutating func appendJSON(_ leaf: Int, _ cursor: inout RowCursor) {
        unsafe cursor.value(leaf) { value in
            switch leaves[leaf].type {
            case .scalar(let scalar): unsafe appendJSON(ScalarText.text(scalar, value))
            case .bytes: unsafe appendJSON(ScalarText.hexadecimal(value))
            case .enumeration: unsafe appendJSON(caseName(leaf, value))
            case .array(let element):
                append("[")
                for start in stride(from: 0, to: value.count, by: element.width) {
                    if start > 0 { append(",") }
                    unsafe appendJSON(
                        ScalarText.text(
                            element,
                            UnsafeRawBufferPointer(rebasing: value[start..<start + element.width])))
                }
                append("]")
            case .string, .optional, .structure:
                unsafe appendJSON(String(decoding: value, as: UTF8.self))
            }
        }
    }

    private mutating func appendJSON(_ form: ScalarText.Form) {
        switch form {
        case .bare(let text): append(text)
        case .quoted(let text): appendJSON(text)
        }
    }

    private mutating func appendJSON(_ string: String) {
        JSONText.append(string, to: &bytes)
    }

    // MARK: CSV

    private mutating func appendCSVLine(_ cursor: inout RowCursor) {
        var isFirst = true
        if let key { appendCSV(key, &cursor, isAbsent: false, &isFirst) }
        appendCSV(row, &cursor, isAbsent: false, &isFirst)
        append("\n")
    }

    private mutating func appendCSV(
        _ tree: RowTree, _ cursor: inout RowCursor, isAbsent: Bool, _ isFirst: inout Bool
    ) {
        switch tree {
        case .leaf(let leaf):
            let start = bytes.count
            if !isFirst { append(",") }
            if !isAbsent { appendCSV(leaf, &cursor) }
            if isShown[leaf] { isFirst = false } else { bytes.removeLast(bytes.count - start) }
        case .optional(let presence, let wrapped):
            // Inside an absent struct there are no values to ask for.
            let isAbsent = isAbsent || !cursor.isPresent(presence)
            appendCSV(wrapped, &cursor, isAbsent: isAbsent, &isFirst)
        case .structure(let fields):
            for field in fields {
                appendCSV(field.tree, &cursor, isAbsent: isAbsent, &isFirst)
            }
        }
    }

    private mutating func appendCSV(_ leaf: Int, _ cursor: inout RowCursor) {
        unsafe cursor.value(leaf) { value in
            switch leaves[leaf].type {
            case .scalar(let scalar): unsafe append(Self.bare(ScalarText.text(scalar, value)))
            case .bytes: unsafe appendCSV(ScalarText.hexadecimal(value))
            case .enumeration: unsafe appendCSV(caseName(leaf, value))
            case .array(let element):
                let words = stride(from: 0, to: value.count, by: element.width).map { start in
                    unsafe Self.bare(
                        ScalarText.text(
                            element,
                            UnsafeRawBufferPointer(rebasing: value[start..<start + element.width])))
                }
                appendCSV(words.joined(separator: " "))
            case .string, .optional, .structure:
                unsafe appendCSV(String(decoding: value, as: UTF8.self))
            }
        }
    }

    /// A cell, between quotes where RFC 4180 asks for them and where it would look like an absent value.
    private mutating func appendCSV(_ text: String) {
        let needsQuotes =
            text.isEmpty
            || text.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13].contains($0) }
        guard needsQuotes else { return append(text) }
        append("\"" + text.replacing("\"", with: "\"\"") + "\"")
    }

    // MARK: Both

    private static func bare(_ form: ScalarText.Form) -> String {
        switch form {
        case .bare(let text), .quoted(let text): text
        }
    }

    private func isHidden(_ tree: RowTree) -> Bool {
        switch tree {
        case .leaf(let leaf): !isShown[leaf]
        case .optional(let presence, _): !isShown[presence]
        case .structure(let fields): !fields.isEmpty && fields.allSatisfy { isHidden($0.tree) }
        }
    }

    private func caseName(_ leaf: Int, _ value: UnsafeRawBufferPointer) -> String {
        guard case .enumeration(let raw, _) = leaves[leaf].type else { return "" }
        let text =
            if case .scalar(let scalar) = raw {
                unsafe Self.bare(ScalarText.text(scalar, value))
            } else {
                unsafe String(decoding: value, as: UTF8.self)
            }
        return names[leaf][text] ?? text
    }

    private static func rawText(_ value: Value) -> String {
        switch value {
        case .int(let int): "\(int)"
        case .uint(let uint): "\(uint)"
        case .string(let string): string
        default: "\(value)"
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
