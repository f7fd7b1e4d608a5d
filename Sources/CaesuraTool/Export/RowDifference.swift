import CaesuraFormat

/// What became of a row between two checkpoints.
enum RowChange: String, Codable {
    case inserted
    case removed
    case updated

    /// As the lines for people begin.
    var sign: String {
        switch self {
        case .inserted: "+"
        case .removed: "-"
        case .updated: "~"
        }
    }
}

/// Prints how rows of a region differ, field by field.
struct DifferencePrinter {
    private let name: String
    private let isJSON: Bool
    private var printer: RowPrinter
    private let key: RowProgram?
    private let fields: [Field]

    /// One field of the row, or of the one value that a row is.
    private struct Field {
        /// As JSON has it: `"name"`.
        var label: [UInt8]
        /// With all of it, to be compared.
        var whole: RowProgram
        /// With what may be shown; nil where nothing of it may.
        var shown: RowProgram?
    }

    init(_ region: RegionSchema, isJSON: Bool, includingSensitive: Bool) {
        name = region.name
        self.isJSON = isJSON
        printer = RowPrinter(region, format: .jsonl, includingSensitive: true)
        let leaves = region.leaves
        let all = leaves.map { _ in true }
        let isShown = leaves.map { includingSensitive || !$0.flags.contains(.sensitive) }
        var trees = RowTree.trees(of: region)
        if let fields = region.key?.fields, fields.count == 1, fields[0].name == "key",
            case .structure(let only)? = trees.key
        {
            trees.key = only[0].tree
        }
        key = trees.key.map { RowProgram.json(value: $0, isShown: isShown) }
        guard case .structure(let members) = trees.row else {
            preconditionFailure("a row is a struct")
        }
        fields = members.map { member in
            Field(
                label: Array(member.label.dropLast()),
                whole: .json(value: member.tree, isShown: all),
                shown: RowProgram.isHidden(member.tree, isShown)
                    ? nil : .json(value: member.tree, isShown: isShown))
        }
    }

    /// A row as text: its key, and for each field all of its value and what may be shown of it.
    struct Row {
        var key: [UInt8]
        var whole: [[UInt8]]
        var shown: [[UInt8]?]
    }

    /// Reads the row at hand.
    mutating func row(_ cursor: borrowing RowCursor) -> Row {
        var row = Row(key: [], whole: [], shown: [])
        if let key { row.key = text(key, cursor) }
        for field in fields {
            let whole = text(field.whole, cursor)
            row.whole.append(whole)
            row.shown.append(field.shown.map { text($0, cursor) })
        }
        return row
    }

    private mutating func text(
        _ program: RowProgram, _ cursor: borrowing RowCursor
    ) -> [UInt8] {
        printer.removeAll()
        printer.append(program, cursor)
        return printer.bytes
    }

    /// The line that says how a row differs; nil if it does not.
    ///
    /// - Parameter key: What names the row where it has no key: a position in a log.
    func line(from old: Row?, to new: Row?, key position: String? = nil) -> [UInt8]? {
        let change: RowChange = old == nil ? .inserted : new == nil ? .removed : .updated
        var places = Array(fields.indices)
        if let old, let new { places = places.filter { old.whole[$0] != new.whole[$0] } }
        if change == .updated, places.isEmpty { return nil }
        let key = position.map { Array($0.utf8) } ?? (new ?? old)?.key ?? []
        return isJSON
            ? json(change, key, places, old, new) : text(change, key, places, old, new)
    }

    private func json(
        _ change: RowChange, _ key: [UInt8], _ places: [Int], _ old: Row?, _ new: Row?
    ) -> [UInt8] {
        var line = Array("{\"region\":".utf8) + JSONText.quoted(name)
        line += Array(",\"change\":\"\(change.rawValue)\"".utf8)
        if !key.isEmpty { line += Array(",\"key\":".utf8) + key }
        for (label, row) in [("old", old), ("new", new)] {
            guard let row else { continue }
            line += Array(",\"\(label)\":{".utf8)
            var isFirst = true
            for place in places {
                guard let value = row.shown[place] else { continue }
                if !isFirst { line.append(UInt8(ascii: ",")) }
                isFirst = false
                line += fields[place].label + [UInt8(ascii: ":")] + value
            }
            line.append(UInt8(ascii: "}"))
        }
        let hidden = places.filter { fields[$0].shown == nil }
        if !hidden.isEmpty {
            line += Array(",\"sensitive\":[".utf8)
            line += hidden.map { fields[$0].label }.joined(separator: [UInt8(ascii: ",")])
            line.append(UInt8(ascii: "]"))
        }
        return line + [UInt8(ascii: "}"), UInt8(ascii: "\n")]
    }

    private func text(
        _ change: RowChange, _ key: [UInt8], _ places: [Int], _ old: Row?, _ new: Row?
    ) -> [UInt8] {
        var line = Array("\(change.sign) \(name)".utf8)
        if !key.isEmpty { line += [UInt8(ascii: " ")] + key }
        for (index, place) in places.enumerated() {
            line += Array((index == 0 ? ": " : ", ").utf8)
            // A name without its quotes.
            line += fields[place].label.dropFirst().dropLast() + [UInt8(ascii: " ")]
            let values = [old, new].compactMap { row in
                row.map { $0.shown[place] ?? Array("(sensitive)".utf8) }
            }
            line += values.joined(separator: Array(" -> ".utf8))
        }
        return line + [UInt8(ascii: "\n")]
    }
}
