import CaesuraMigration
import CaesuraRepository
import Foundation

/// `migrate`: all partitions of a store move to another process and back, over the loopback device, while a writer goes on.
enum MigrateBenchmark {
    static func run(_ options: Options) async throws {
        if options.flag("other") { return try await OtherProcess.serve(options) }
        let rows = try options.int("rows", default: 12_048_192)
        let isOnDisk = try options.place == .disk
        let owners = try ScratchDirectory(
            in: isOnDisk ? try options.string("directory", default: "/tmp") : "/dev/shm")
        let papers =
            options.flag("tls")
            ? try Papers(of: [NodeSetting.names.own, NodeSetting.names.other, "operator"]) : nil
        let setting = NodeSetting(
            rows: rows, owners: owners.path, papers: papers?.path,
            partitionBits: try options.int("partition-bits", default: 6),
            bandwidth: try options.int("bandwidth", default: 0))
        let nodes = try await TwoNodes(setting)
        let report = MigrateReport(
            setting,
            note: (papers == nil ? "" : ", TLS") + (isOnDisk ? ", register on disk" : "")
                + (options.flag("postcopy") ? ", postcopy, 2^\(setting.partitionBits)" : "")
                + (options.flag("at-once") ? ", ordered at once" : "")
                + (setting.bandwidth > 0 ? ", \(setting.bandwidth) MB/s sent" : ""))
        let loads = try options.string("loads", default: "0,0,10k,100k,max").split(separator: ",")
        // Before all rows have gone: at once.
        let isAhead = options.flag("postcopy")
        let budget =
            isAhead ? .zero : Duration.microseconds(try options.int("budget", default: 1_000))
        let timeline = try? options.string("timeline")
        let least = Duration.milliseconds(try options.int("quiet", default: 1_000))
        let rest = nodes.watch.take().resident
        try await nodes.run {
            report.register(try await registerTimes(nodes.own.register))
            var quiet = least
            for (number, load) in loads.enumerated() {
                guard let rate = try await rate(load, nodes, report) else { continue }
                var plan = Trial.Plan(rate: rate, budget: budget, quiet: quiet)
                plan.policy = isAhead ? .postcopy : .fail
                plan.isAtOnce = options.flag("at-once")
                plan.keepsTimeline = timeline != nil
                let trial = try await Trial(plan, of: nodes)
                // Nothing moves for as long as it takes to move all.
                quiet = max(least, .seconds(trial.moves.seconds / 2))
                let isFirst = number == 0
                report.print(trial, isFirst: isFirst, rest: rest)
                if let timeline, let outcome = trial.outcome {
                    try outcome.latencies.timeline?.append(
                        to: timeline, load: String(load), trial.stretches)
                }
            }
            try nodes.check()
        }
        withExtendedLifetime((owners, papers)) {}
    }

    /// The rate that a word stands for; `max` is searched for, and nil if none holds.
    private static func rate(
        _ word: Substring, _ nodes: TwoNodes, _ report: MigrateReport
    ) async throws -> Int? {
        guard word == "max" else {
            return try Options(["--rate", String(word)]).int("rate")
        }
        let alone = try await HighestRate(nodes: nodes, isMoving: false).search()
        let moving = try await HighestRate(nodes: nodes, isMoving: true).search()
        report.rates(alone: alone, moving: moving)
        return moving > 0 ? moving : nil
    }

    /// How long appends to the register take, one after the other.
    private static func registerTimes(
        _ register: DirectoryOwnerRegister
    ) async throws -> [UInt64] {
        var times: [UInt64] = []
        for _ in 0..<200 {
            let start = now()
            try await register.probe()
            times.append(now() - start)
        }
        return times
    }
}

extension Options {
    /// Where the register's directory is.
    fileprivate enum Place: String { case memory, disk }

    fileprivate var place: Place {
        get throws {
            let name = try string("register", default: "memory")
            guard let place = Place(rawValue: name) else {
                throw Failure("--register is memory or disk, not \(name)")
            }
            return place
        }
    }
}
