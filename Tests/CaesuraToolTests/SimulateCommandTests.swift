import Foundation
import Testing

@testable import CaesuraTool

/// What `caesura simulate` prints, and how it ends.
///
/// Things go wrong for a second or two: a long run takes some seconds in a build for debugging.
@Suite(
    .enabled(if: CaesuraProgram.path != nil, "the program `caesura` was not built beside the tests")
)
struct SimulateCommandTests {
    @Test func `a seed that passes is a line of totals, the same each time`() throws {
        let runs = try (0..<2).map { _ in
            try CaesuraProgram.run(["simulate", "--seed", "5", "--seconds", "1"])
        }
        #expect(runs.map(\.exitCode) == [0, 0])
        #expect(
            runs[0].output.wholeMatch(
                of:
                    #/1 run of 0\.\d+ simulated hours: [\d,]+ requests? answered, [\d,]+ moves? done and [\d,]+ given up, 0 wrong\n/#
            ) != nil)
        #expect(runs[0].output == runs[1].output)
        #expect(runs[0].errors == "")
    }

    @Test func `several seeds are a line of JSON each, and one of totals`() throws {
        let run = try CaesuraProgram.run([
            "simulate", "--seed", "5", "--count", "3", "--seconds", "1", "--json",
        ])
        #expect(run.exitCode == 0)
        #expect(run.errors == "")
        let lines = try Self.lines(run.output)
        try #require(lines.count == 4)
        #expect(lines.prefix(3).map { $0["seed"] as? Int } == [5, 6, 7])
        for line in lines.prefix(3) {
            #expect((line["violations"] as? [String])?.isEmpty == true)
            #expect((line["trace"] as? String)?.wholeMatch(of: #/[0-9a-f]{16}/#) != nil)
        }
        #expect(lines[3]["seeds"] as? Int == 3)
        #expect(lines[3]["failed"] as? Int == 0)
        for key in ["answered", "moved", "givenUp"] {
            let sum = lines.prefix(3).reduce(0) { $0 + ($1[key] as? Int ?? -1) }
            #expect(lines[3][key] as? Int == sum, "\(key)")
        }
        #expect(lines[3]["coverage"] == nil)
        #expect(lines[3]["answered"] as? Int ?? 0 > 0)
        #expect(lines[3]["simulatedHours"] as? Double ?? 0 > 0)
    }

    @Test func `what was hit is a table, or part of the totals`() throws {
        let arguments = ["simulate", "--seed", "5", "--seconds", "1", "--coverage"]
        let text = try CaesuraProgram.run(arguments)
        #expect(text.exitCode == 0)
        let table = text.output.split(separator: "\n").dropLast()
        #expect(table.count == 23)
        #expect(table.first?.hasPrefix("  step  ") == true)
        let json = try CaesuraProgram.run(arguments + ["--json"])
        let totals = try #require(try Self.lines(json.output).last)
        let counts = try #require(totals["coverage"] as? [String: [String: Int]])
        #expect(counts.count == 22)
        #expect(counts["copying"]?["targetStops"] != nil)
        // No other node takes part in a start.
        #expect(counts["reading"]?["targetStops"] == nil)
    }

    @Test func `a mistake is found: the seed, the commit and what is wrong are printed`() throws {
        let run = try CaesuraProgram.run(
            [
                "simulate", "--seed", "\(Self.wrongSeed)", "--seconds", "2", "--mistake",
                "sendsChunkTwice",
            ])
        #expect(run.exitCode == 1)
        let version = try CaesuraProgram.run(["--version"]).output.dropLast()
        let commit = SourceCommit.current().map { " at commit \($0)" } ?? ""
        #expect(run.output.hasPrefix("seed \(Self.wrongSeed), caesura \(version)\(commit): "))
        #expect(run.output.contains("\n  wrong: "))
        #expect(run.output.hasSuffix(", 1 wrong\n"))
        #expect(
            run.errors == """
                caesura: error: 1 of 1 run went wrong
                caesura: hint: run one again with --seed and --trace, or with --minimize

                """)
    }

    @Test func `a failure is made shorter`() throws {
        let run = try CaesuraProgram.run(
            [
                "simulate", "--seed", "\(Self.wrongSeed)", "--seconds", "2", "--mistake",
                "sendsChunkTwice", "--minimize", "--json",
            ])
        #expect(run.exitCode == 1)
        let lines = try Self.lines(run.output)
        try #require(lines.count == 2)
        #expect(lines[0]["seed"] as? Int == Self.wrongSeed)
        #expect((lines[0]["violations"] as? [String])?.isEmpty == false)
        #expect(lines[0]["duration"] as? Double ?? 2 < 2)
        #expect(lines[1]["failedSeeds"] as? [Int] == [Self.wrongSeed])
    }

    @Test func `a trace is a line for each thing that happens, the same each time`() throws {
        let runs = try (0..<2).map { _ in
            try CaesuraProgram.run(["simulate", "--seed", "5", "--seconds", "1", "--trace"])
        }
        #expect(runs[0].exitCode == 0)
        #expect(runs[0].output == runs[1].output)
        let lines = runs[0].output.split(separator: "\n")
        #expect(lines.count > 10)
        #expect(lines.contains("0.0 seconds node-0 starts"))
        #expect(lines.last?.hasPrefix("1 run of ") == true)
    }

    @Test func `Ctrl-C prints the totals so far`() throws {
        let simulation = try CaesuraProgram.start([
            "simulate", "--count", "100000", "--seconds", "1", "--json",
        ])
        while !simulation.outputSoFar.contains("\n") { try #require(simulation.process.isRunning) }
        simulation.process.interrupt()
        let run = simulation.finish()
        #expect(run.exitCode == 130)
        #expect(run.errors == "caesura: error: interrupted\n")
        let lines = try Self.lines(run.output)
        #expect(lines.last?["seeds"] as? Int == lines.count - 1)
    }

    @Test(arguments: [
        (["--seconds", "0"], "--seconds is 1 to 3600"),
        (["--count", "0"], "--count is at least 1"),
        (["--trace", "--count", "2"], "--trace is of one seed: leave --count out"),
        (["--trace", "--json"], "--trace prints text: leave --json out"),
        (["--seed", "18446744073709551615"], "--seed and --count are too large together"),
    ])
    func `an option that would mean nothing is refused`(options: [String], message: String) throws {
        let run = try CaesuraProgram.run(["simulate"] + options)
        #expect(run.exitCode == 64)
        #expect(run.output == "")
        #expect(
            run.errors == """
                caesura: error: \(message)
                caesura: hint: caesura simulate --help shows how it is used

                """)
    }

    @Test func `a mistake that there is not is refused, with the names of those there are`() throws
    {
        let run = try CaesuraProgram.run(["simulate", "--mistake", "sleeps"])
        #expect(run.exitCode == 64)
        #expect(
            run.errors.contains(
                "there is no mistake 'sleeps': they are servesWithoutEntry, sendsChunkTwice, losesReplies, answersEarly"
            ))
    }

    // MARK: Shorthand

    /// A seed in which the mistake is found, with few faults.
    private static let wrongSeed = 5

    private static func lines(_ output: String) throws -> [[String: Any]] {
        try output.split(separator: "\n").map { line in
            try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }
}
