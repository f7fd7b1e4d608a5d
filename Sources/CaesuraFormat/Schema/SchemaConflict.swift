/// A difference between the schema of some data and a program's that cannot be read over: `docs/SCHEMAS.md`, "Refusals".
public struct SchemaConflict: Hashable, Sendable, CustomStringConvertible {
    /// Which rule is broken, by its name in `docs/SCHEMAS.md`.
    @nonexhaustive
    public enum Rule: String, Hashable, Sendable {
        /// The data lacks a field, and the program has no default for it.
        case missingDefault = "W1"
        /// The data has a field that the program, which is not older, neither has nor retired.
        case droppedField = "W2"
        /// One number, two names.
        case otherName = "W3"
        /// The types differ, and none becomes the other by a change that is read.
        case otherType = "W4"
        /// The data's enumeration has cases that the program does not know, and the program has no fallback.
        case unknownCases = "W5"
        /// The keys differ.
        case otherKey = "W6"
        /// One is a table, and the other a log or a cell.
        case otherKind = "W7"
    }

    /// Which rule is broken.
    public var rule: Rule
    /// The region.
    public var region: String
    /// The names from the row to the field, joined with full stops, as the program has them where it has the field;
    /// empty when the whole region is meant.
    public var path: String
    /// The field's number; nil when the whole region is meant.
    public var number: UInt16?
    /// What the data has there: a type, a name or a kind.
    public var data: String
    /// What the program has there.
    public var program: String
    /// The version of the data.
    public var dataVersion: UInt32
    /// The version of the program.
    public var programVersion: UInt32
    /// What to do.
    public var hint: String

    /// Creates a difference.
    package init(
        rule: Rule, region: String, path: String, number: UInt16?, data: String, program: String,
        dataVersion: UInt32, programVersion: UInt32, hint: String
    ) {
        self.rule = rule
        self.region = region
        self.path = path
        self.number = number
        self.data = data
        self.program = program
        self.dataVersion = dataVersion
        self.programVersion = programVersion
        self.hint = hint
    }

    /// The place, both sides with their versions, and what to do, in one sentence.
    public var description: String {
        let field = number.map { ", field \(path) (number \($0))" } ?? ""
        return
            "\(rule.rawValue): region \(region)\(field): the data of version \(dataVersion) has \(data), the "
            + "program of version \(programVersion) \(program); \(hint)"
    }
}

/// Why data of one schema cannot be read by a program of another: each difference that is in the way.
public struct SchemaConflicts: Error, Hashable, Sendable, CustomStringConvertible {
    /// The differences, in the order of the fields; at least one.
    public var conflicts: [SchemaConflict]

    /// Creates an error of one difference or more.
    package init(conflicts: [SchemaConflict]) { self.conflicts = conflicts }

    /// All of them, a line each.
    public var description: String {
        conflicts.map(\.description).joined(separator: "\n")
    }
}
