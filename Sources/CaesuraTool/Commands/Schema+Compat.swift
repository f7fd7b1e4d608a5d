import ArgumentParser
import CaesuraFormat
import CaesuraRepository
import CaesuraSchemas

extension Schema {
    /// `caesura schema compat`.
    struct Compat: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say which shipped versions can read the checkpoints of a repository.",
            discussion: """
                For each checkpoint and region: the version of the data, and the versions in the lock whose programs \
                can read it. Ends with exit code 1 if the newest cannot read one.
                """)

        @Argument(help: ArgumentHelp("The repository.", valueName: "directory"))
        var directory: String
        @OptionGroup var lock: LockArguments
        @Flag(help: "Print it as JSON.")
        var json = false

        struct Line: Codable {
            var epoch: UInt64
            var region: String
            var version: UInt32
            var readableBy: [UInt32]
            var refusedBy: [UInt32]
            /// Whether the newest version in the lock reads it.
            var isReadable: Bool
        }

        func run() async throws {
            let lock = try lock.read()
            let repository = try await Repository.open(.directory(directory), for: .read)
            var lines: [Line] = []
            for epoch in try await repository.epochs() {
                for schema in try await SchemaSource.schemas(of: repository, at: epoch) {
                    lines.append(Self.line(epoch, schema, lock))
                }
            }
            if json {
                try StandardOutput.writeJSON(lines)
            } else {
                try StandardOutput.write(Self.text(lines))
            }
            let unreadable = Set(lines.filter { !$0.isReadable }.map(\.epoch))
            guard unreadable.isEmpty else {
                throw ToolError(
                    "\(counted(unreadable.count, "checkpoint")) of \(directory) cannot be read by the newest version",
                    hint: "docs/SCHEMAS.md says what takes a migration")
            }
        }

        private static func line(
            _ epoch: UInt64, _ schema: RegionSchema, _ lock: SchemaLock
        ) -> Line {
            var line = Line(
                epoch: epoch, region: schema.name, version: schema.row.version, readableBy: [],
                refusedBy: [], isReadable: true)
            for version in lock.regions[schema.name] ?? [] {
                let program = version.schema
                if (try? SchemaResolution(writer: schema, reader: program)) != nil {
                    line.readableBy.append(program.row.version)
                    line.isReadable = true
                } else {
                    line.refusedBy.append(program.row.version)
                    line.isReadable = false
                }
            }
            return line
        }

        private static func text(_ lines: [Line]) -> String {
            if lines.isEmpty { return "there is no checkpoint yet\n" }
            func list(_ versions: [UInt32]) -> String {
                versions.isEmpty ? "none" : versions.map(String.init).joined(separator: ", ")
            }
            return lines.map { line in
                "epoch \(line.epoch), \(line.region) of version \(line.version): read by \(list(line.readableBy))"
                    + (line.refusedBy.isEmpty ? "" : "; not by \(list(line.refusedBy))") + "\n"
            }.joined()
        }
    }
}
