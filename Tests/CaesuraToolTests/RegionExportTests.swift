import Caesura
import CaesuraRepository
import Testing

@Schema("visit")
private struct Visit {
    @Field(1) var page: String
    @Field(2, .sensitive) var address: UInt32
}

/// The built program on a repository with a log and a cell.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct RegionExportTests {
    @Test func `logs are printed in their order, and cells as one line`() async throws {
        try await CaesuraProgram.withDirectory { directory in
            let state = directory + "/state"
            let store = Store()
            let visits = try store.log("visits", row: Visit.self)
            let latest = try store.cell("latest", initial: Visit(page: "none", address: 1))
            visits.append(contentsOf: (0..<9_000).map { Visit(page: "/\($0)", address: 7) })
            visits.trim(before: 10)
            latest.update { $0.page = "/8999" }
            let repository = try await Repository.open(.directory(state))
            try await repository.checkpoint(store)

            let log = try CaesuraProgram.run(["export", state, "--region", "visits"])
            #expect(log.exitCode == 0)
            let lines = log.output.split(separator: "\n")
            #expect(lines.count == 8_990)
            #expect(lines.first == #"{"row":{"page":"/10"}}"#)
            #expect(lines.last == #"{"row":{"page":"/8999"}}"#)
            let cell = try CaesuraProgram.run(
                ["export", state, "--region", "latest", "--format", "csv", "--sensitive"])
            #expect(cell.output == "page,address\n/8999,1\n")

            #expect(try CaesuraProgram.run(["verify", state]).exitCode == 0)
            let restore = try CaesuraProgram.run(["restore", state, "--check"])
            #expect(restore.exitCode == 0)
            #expect(restore.output.contains("8,991 rows restored"))
            let inspect = try CaesuraProgram.run(["inspect", state, "--chunks"])
            #expect(inspect.output.contains("8,990 rows in 2 chunks"))
            #expect(inspect.output.contains("1 rows in 1 chunks"))
            #expect(inspect.output.contains("position 8192"))
            #expect(inspect.output.contains("log \"visits\""))
        }
    }
}
