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

    /// How the values of a column are printed.
    private enum Style {
        case scalar(ScalarType)
        case text
        case hexadecimal
        case array(ScalarType)
        /// By the names in ``names``.
        case enumeration(ScalarType)
        case stringEnumeration
    }

    private let format: Format
    private let leaves: [LeafColumn]
    private let isShown: [Bool]
    private let program: RowProgram
    private let styles: [Style]
    private let names: [CaseNames]
    /// Cells of CSV that are put together first.
    private var cell: [UInt8] = []
    /// What was printed and not yet taken.
    private(set) var bytes: [UInt8] = []

    init(_ region: RegionSchema, format: Format, includingSensitive: Bool) {
        self.format = format
        leaves = region.leaves
        let isShown = leaves.map { includingSensitive || !$0.flags.contains(.sensitive) }
        self.isShown = isShown
        var trees = RowTree.trees(of: region)
        // A key that is one value is printed as that value.
        if let fields = region.key?.fields, fields.count == 1, fields[0].name == "key",
            case .structure(let only)? = trees.key
        {
            trees.key = only[0].tree
        }
        program =
            switch format {
            case .jsonl: .json(key: trees.key, row: trees.row, isShown: isShown)
            case .csv: .csv(key: trees.key, row: trees.row, isShown: isShown)
            }
        styles = leaves.map { Self.style($0.type) }
        names = leaves.map { leaf in
            CaseNames(leaf.type) { format == .jsonl ? JSONText.quoted($0) : CSVText.cell($0) }
        }
    }

    private static func style(_ type: FieldType) -> Style {
        switch type {
        case .scalar(let scalar): .scalar(scalar)
        case .enumeration(.scalar(let scalar), _): .enumeration(scalar)
        case .enumeration: .stringEnumeration
        case .bytes: .hexadecimal
        case .array(let element): .array(element)
        case .string, .optional, .structure: .text
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
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            let name = leaves[leaf].name
            bytes += CSVText.cell(leaves[leaf].isKey && !hasPlainKey ? "key." + name : name)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Prints the rows that a cursor has still to come to.
    mutating func append(_ rows: consuming RowCursor) {
        while rows.advance() { append(program, rows) }
    }

    /// Prints what a program of this printer's format says of the row at hand.
    mutating func append(_ program: RowProgram, _ row: borrowing RowCursor) {
        var index = 0
        while index < program.steps.count {
            switch program.steps[index] {
            case .text(let range): bytes.append(contentsOf: program.texts[range])
            case .value(let leaf):
                unsafe row.value(leaf) { value in
                    switch format {
                    case .jsonl: unsafe appendJSON(value, leaf)
                    case .csv: unsafe appendCSV(value, leaf)
                    }
                }
            case .ifPresent(let leaf, let count, let absent):
                if !row.isPresent(leaf) {
                    bytes.append(contentsOf: program.texts[absent])
                    index += count
                }
            }
            index += 1
        }
    }

    /// Prints text as it is.
    mutating func append(_ text: some Sequence<UInt8>) { bytes.append(contentsOf: text) }

    // MARK: JSON

    private mutating func appendJSON(_ value: UnsafeRawBufferPointer, _ leaf: Int) {
        switch styles[leaf] {
        case .scalar(let scalar): unsafe appendJSON(value, scalar)
        case .text: unsafe JSONText.append(value, to: &bytes)
        case .hexadecimal:
            bytes.append(UInt8(ascii: "\""))
            for index in 0..<value.count {
                unsafe ScalarText.appendHexadecimal(value[index], to: &bytes)
            }
            bytes.append(UInt8(ascii: "\""))
        case .array(let element):
            bytes.append(UInt8(ascii: "["))
            for start in stride(from: 0, to: value.count, by: element.width) {
                if start > 0 { bytes.append(UInt8(ascii: ",")) }
                unsafe appendJSON(
                    UnsafeRawBufferPointer(rebasing: value[start..<start + element.width]), element)
            }
            bytes.append(UInt8(ascii: "]"))
        case .enumeration(let scalar):
            if let name = unsafe names[leaf].text(integer: value) {
                return bytes.append(contentsOf: names[leaf].texts[name])
            }
            bytes.append(UInt8(ascii: "\""))
            unsafe ScalarText.append(scalar, value, to: &bytes)
            bytes.append(UInt8(ascii: "\""))
        case .stringEnumeration:
            guard let name = unsafe names[leaf].text(string: value) else {
                return unsafe JSONText.append(value, to: &bytes)
            }
            bytes.append(contentsOf: names[leaf].texts[name])
        }
    }

    private mutating func appendJSON(_ value: UnsafeRawBufferPointer, _ scalar: ScalarType) {
        let isQuoted = unsafe ScalarText.isQuoted(scalar, value)
        if isQuoted { bytes.append(UInt8(ascii: "\"")) }
        unsafe ScalarText.append(scalar, value, to: &bytes)
        if isQuoted { bytes.append(UInt8(ascii: "\"")) }
    }

    // MARK: CSV

    private mutating func appendCSV(_ value: UnsafeRawBufferPointer, _ leaf: Int) {
        switch styles[leaf] {
        case .scalar(let scalar): unsafe ScalarText.append(scalar, value, to: &bytes)
        case .text: unsafe CSVText.append(value, to: &bytes)
        case .hexadecimal:
            if value.count == 0 { return unsafe CSVText.append(value, to: &bytes) }
            for index in 0..<value.count {
                unsafe ScalarText.appendHexadecimal(value[index], to: &bytes)
            }
        case .array(let element):
            if value.count == 0 { return unsafe CSVText.append(value, to: &bytes) }
            for start in stride(from: 0, to: value.count, by: element.width) {
                if start > 0 { bytes.append(UInt8(ascii: " ")) }
                unsafe ScalarText.append(
                    element,
                    UnsafeRawBufferPointer(rebasing: value[start..<start + element.width]),
                    to: &bytes)
            }
        case .enumeration(let scalar):
            guard let name = unsafe names[leaf].text(integer: value) else {
                return unsafe ScalarText.append(scalar, value, to: &bytes)
            }
            bytes.append(contentsOf: names[leaf].texts[name])
        case .stringEnumeration:
            guard let name = unsafe names[leaf].text(string: value) else {
                return unsafe CSVText.append(value, to: &bytes)
            }
            bytes.append(contentsOf: names[leaf].texts[name])
        }
    }
}
