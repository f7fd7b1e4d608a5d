import CaesuraFormat
import CaesuraSchemas

extension SchemaDifference {
    /// For people: what differs, a line each, and who reads what.
    var text: String {
        guard let old, let new else {
            let (side, schema) = old.map { ("A", $0) } ?? ("B", new)
            let version = schema.map { ", version \($0.row.version)" } ?? ""
            return "\(title)\(version): only in \(side)\n"
        }
        let (before, now) = (old.row.version, new.row.version)
        let versions = before == now ? "version \(now)" : "version \(before) in A, \(now) in B"
        if isEmpty { return "\(title), \(versions): nothing differs\n" }
        var text = "\(title), \(versions)\n"
        for change in changes where change.kind != .version { text += "  \(change.text)\n" }
        if let newReadsOld { text += newReadsOld.text("B", of: "A") }
        if let oldReadsNew { text += oldReadsNew.text("A", of: "B") }
        return text
    }

    private var title: String { "\((new ?? old).map { "\($0.kind)" } ?? "region") \(region)" }
}

extension SchemaDifference.Change {
    fileprivate var text: String {
        let number = self.number.map { " (\($0))" } ?? ""
        let place = (field ?? "") + number
        let (old, new) = (self.old ?? "none", self.new ?? "none")
        let change = "\(old) -> \(new)"
        return switch kind {
        case .added: "+ \(place): \(new)"
        case .dropped: "- \(place): \(old), dropped and not retired"
        case .retired where self.old == nil: "~ \(field ?? "the row"): \(new) is retired"
        case .retired: "- \(place): \(old), retired"
        case .revived: "~ \(field ?? "the row"): \(old) is not retired any more"
        case .kind, .version: "~ \(kind.rawValue): \(change)"
        case .schema: "~ name of the schema: \(change)"
        case .caseAdded: "~ \(place): case \(new) added"
        case .caseRemoved: "~ \(place): case \(old) removed"
        case .caseRenamed: "~ \(place): case \(old) -> \(new)"
        case .order: "~ order of \(field ?? "the row"): \(change)"
        case .sensitive: "~ \(place): \(self.new == nil ? "no longer sensitive" : "sensitive")"
        default: "~ \(place): \(kind.rawValue) \(change)"
        }
    }
}

extension SchemaDifference.Reading {
    fileprivate func text(_ program: String, of data: String) -> String {
        let sentence = "  a program of \(program) reads data of \(data): "
        guard isRead else {
            return sentence + "no\n"
                + conflicts.map { conflict in
                    let place = conflict.path.isEmpty ? "" : " \(conflict.path)"
                    return
                        "    \(conflict.rule.rawValue)\(place): the data has \(conflict.data), the program "
                        + "\(conflict.program)\n      \(conflict.hint)\n"
                }.joined()
        }
        return sentence + "yes"
            + (kept.isEmpty ? "" : ", and keeps \(kept.joined(separator: ", "))") + "\n"
    }
}

/// A difference for programs.
struct SchemaDifferenceReport: Encodable {
    private var region: String
    private var isDifferent: Bool
    /// The version on each side; nil where the region is not there.
    private var oldVersion: UInt32?
    private var newVersion: UInt32?
    private var changes: [SchemaDifference.Change]
    private var newReadsOld: Reading?
    private var oldReadsNew: Reading?

    private struct Reading: Encodable {
        var isRead: Bool
        var kept: [String]
        var conflicts: [Conflict]

        init(_ reading: SchemaDifference.Reading) {
            isRead = reading.isRead
            kept = reading.kept
            conflicts = reading.conflicts.map(Conflict.init)
        }
    }

    private struct Conflict: Encodable {
        var rule: String
        var field: String?
        var number: UInt16?
        var data: String
        var program: String
        var hint: String

        init(_ conflict: SchemaConflict) {
            rule = conflict.rule.rawValue
            field = conflict.path.isEmpty ? nil : conflict.path
            number = conflict.number
            data = conflict.data
            program = conflict.program
            hint = conflict.hint
        }
    }

    init(_ difference: SchemaDifference) {
        region = difference.region
        isDifferent = !difference.isEmpty
        oldVersion = difference.old?.row.version
        newVersion = difference.new?.row.version
        changes = difference.changes
        newReadsOld = difference.newReadsOld.map(Reading.init)
        oldReadsNew = difference.oldReadsNew.map(Reading.init)
    }
}
