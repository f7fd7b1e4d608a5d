import ArgumentParser
import CaesuraFormat
import CaesuraSchemas
import Foundation

extension Schema {
    /// `caesura schema lock`.
    struct Lock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add the present schemas to those that shipped.",
            discussion: "Refuses what caesura schema check calls an error.")

        @Argument(help: ArgumentHelp(Schema.presentHelp, valueName: "data"))
        var source: SchemaSource
        @OptionGroup var lock: LockArguments
        @Option(
            help: ArgumentHelp(
                "Data of versions before this one of the region need not be read any more: sessions=4.",
                valueName: "region=version"))
        var retire: [Retirement] = []
        @Flag(help: "Write nothing.")
        var dryRun = false

        func run() async throws {
            var file = try lock.read(orEmpty: true)
            let program = try await source.offer()
            for retirement in retire { try retirement.apply(to: &file) }
            let added = try add(program, to: &file)
            if !dryRun {
                do {
                    try file.json.write(to: URL(filePath: lock.lock), options: .atomic)
                } catch {
                    throw ToolError(writing: lock.lock, error)
                }
            }
            let verb = dryRun ? "would be locked" : "locked"
            let lines = added.map { "region \($0.name), version \($0.row.version): \(verb)\n" }
            try StandardOutput.write(lines.isEmpty ? "nothing new\n" : lines.joined())
        }

        /// Adds what breaks no rule.
        private func add(
            _ program: SchemaOffer, to file: inout SchemaLock
        ) throws(ToolError) -> [RegionSchema] {
            let check = SchemaCheck(program, against: file)
            if let problem = check.problems.first(where: { $0.severity == .error }) {
                throw ToolError(
                    "\(problem.rule) \(problem.place): \(problem.message)",
                    hint:
                        "caesura schema check \(source.argument) --lock \(lock.lock) says all that is wrong"
                )
            }
            do throws(SchemaLockError) {
                return try file.add(program.regions.map(\.read))
            } catch {
                throw ToolError("\(lock.lock): \(error)")
            }
        }
    }
}

/// The first version of a region whose data must still be read, as it is typed: `sessions=4`.
struct Retirement: ExpressibleByArgument, Equatable {
    var region: String
    var version: UInt32

    init?(argument: String) {
        // The last sign: a region may have one in its name.
        guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex,
            let version = UInt32(argument[sign...].dropFirst()), version > 0
        else { return nil }
        region = String(argument[..<sign])
        self.version = version
    }

    /// Marks the versions before it.
    func apply(to lock: inout SchemaLock) throws(ToolError) {
        do throws(SchemaLockError) {
            try lock.retire(region, before: version)
        } catch {
            let names = lock.regions.keys.sorted()
            throw ToolError(
                "--retire \(region)=\(version): \(error)",
                hint: names.isEmpty ? nil : "it has \(names.joined(separator: ", "))",
                exitCode: .usage)
        }
    }
}
