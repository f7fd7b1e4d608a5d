import Caesura
import CaesuraRepository
import Foundation

/// `chain`: how long a restore takes by the length of the chain, and what a full checkpoint costs instead.
enum ChainBenchmark {
    static func run(_ options: Options) async throws {
        let rows = try options.int("rows", default: 1_000_000)
        let changed = try options.int("changed", default: 1_000)
        let directory = try options.string("directory", default: "/tmp")
        let lengths = [0, 10, 100, 1_000]
        let scratch = try ScratchDirectory(in: directory)
        let repository = try await Repository.open(.directory(scratch.path + "/state"))
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        var settings = CheckpointOptions()
        settings.holdsBase = true
        settings.policy.deltaBytes = .infinity
        var random = RandomRows(rows: rows)
        var deltaTime = 0.0
        var deltaBytes = 0
        var taken = 0
        for length in lengths {
            while taken <= length {
                for _ in 0..<changed {
                    table.sessions.update(Session.id(random.next())) {
                        $0.visits &+= 1
                        $0.lastSeen += 1_000
                    }
                }
                let start = now()
                let checkpoint = try await repository.checkpoint(table.store, options: settings)
                let time = Double(now() - start)
                if taken == 0 {
                    report("chain: full checkpoint", rows, 0, changed, "ms", time / 1e6)
                    report(
                        "chain: full checkpoint, bytes", rows, 0, changed, "MB",
                        Double(checkpoint.storedBytes) / 1e6)
                } else {
                    deltaTime += time
                    deltaBytes += checkpoint.storedBytes
                }
                taken += 1
            }
            let copy = try CaesuraTable()
            let start = now()
            try await repository.restore(into: copy.store)
            report(
                "chain: restore", rows, length, changed, "ms", Double(now() - start) / 1e6)
            guard copy.count == rows else { throw Failure("\(copy.count) rows restored") }
        }
        report(
            "chain: delta checkpoint", rows, taken - 1, changed, "ms",
            deltaTime / Double(taken - 1) / 1e6)
        report(
            "chain: delta checkpoint, bytes", rows, taken - 1, changed, "kB",
            Double(deltaBytes) / Double(taken - 1) / 1e3)
    }

    private static func report(
        _ metric: String, _ rows: Int, _ length: Int, _ changed: Int, _ unit: String,
        _ value: Double
    ) {
        let scale = "\(short(rows)), \(length) deltas of \(short(changed))"
        Result(metric, CaesuraTable.subject, scale, unit, value).print()
    }
}
