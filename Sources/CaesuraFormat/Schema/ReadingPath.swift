/// A step from rows of one version of a schema to rows of a later one, which takes code.
public struct SchemaStep: Hashable, Sendable {
    /// What it begins with.
    public var from: Schema
    /// What it leads to.
    public var to: Schema

    /// Creates a step.
    public init(from: Schema, to: Schema) {
        self.from = from
        self.to = to
    }
}

/// How rows of one schema become rows of another, where a program has code for some steps: `docs/SCHEMAS.md`, "Migrations".
///
///     data ─ resolve ─► version m ─ migrate ─► version n ─ resolve ─► … ─ resolve ─► stored
///
/// Without steps it is one resolution.
public struct ReadingPath: Hashable, Sendable {
    /// A part of the way.
    public enum Stage: Hashable, Sendable {
        /// Rows are resolved.
        case resolve(SchemaResolution)
        /// Rows are migrated, by the step of this index.
        case migrate(Int)
    }

    /// The way: resolutions, with a migration between any two.
    public let stages: [Stage]
    /// The schema of the data.
    public let writer: RegionSchema
    /// What its rows are stored under.
    public let stored: RegionSchema

    /// Whether rows are stored as they come.
    public var isIdentity: Bool {
        if stages.count == 1, case .resolve(let only) = stages[0] { return only.isIdentity }
        return false
    }

    /// Finds the way.
    ///
    /// - Parameters:
    ///   - data: The schema that came with the data.
    ///   - reader: The schema of the program.
    ///   - steps: Those that the program has code for.
    /// - Throws: All differences that are in the way.
    public init(
        from data: RegionSchema, to reader: RegionSchema, through steps: [SchemaStep] = []
    ) throws(SchemaConflicts) {
        var stages: [Stage] = []
        var at = data
        for index in Self.ascending(steps, to: reader.row.version)
        where steps[index].from.version >= at.row.version {
            var begin = reader
            begin.row = steps[index].from
            stages.append(.resolve(try SchemaResolution(writer: at, reader: begin)))
            stages.append(.migrate(index))
            at = begin
            at.row = steps[index].to
        }
        let last = try SchemaResolution(writer: at, reader: reader)
        stages.append(.resolve(last))
        self.stages = stages
        writer = data
        stored = last.stored
    }

    /// The steps that lead to a version or an earlier one, those first that begin with the earliest.
    private static func ascending(_ steps: [SchemaStep], to last: UInt32) -> [Int] {
        // A step that does not ascend would never end.
        steps.indices.filter {
            steps[$0].to.version <= last && steps[$0].from.version < steps[$0].to.version
        }.sorted { (steps[$0].from.version, $0) < (steps[$1].from.version, $1) }
    }
}
