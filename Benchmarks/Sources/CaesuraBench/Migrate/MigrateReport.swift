/// Prints what moves have taken.
struct MigrateReport: Sendable {
    private let setting: NodeSetting
    /// What is special about the setting, behind the scale.
    private let note: String

    init(_ setting: NodeSetting, note: String) {
        self.setting = setting
        self.note = note
    }

    /// How long the register takes by itself.
    func register(_ times: [UInt64]) {
        reportPercentiles("migration: append to the register", "floor", setting.scale + note, times)
    }

    /// The highest rates that hold.
    func rates(alone: Int, moving: Int) {
        func print(_ subject: String, _ rate: Int) {
            Result(
                "migration: highest rate of writes", subject, setting.scale + note, "k/s",
                Double(rate) / 1e3
            ).print()
        }
        print(Target.unmoved, alone)
        print(Target.subject, moving)
    }

    /// - Parameters:
    ///   - isFirst: Whether the memory of the target is fresh from the system.
    ///   - rest: Resident bytes of a process that has all rows and does nothing.
    func print(_ trial: Trial, isFirst: Bool, rest: Int) {
        let rate = trial.plan.rate
        let load = rate == 0 ? "idle" : "\(short(rate)) writes/s"
        let scale = "\(setting.scale), \(load)" + note + (isFirst ? ", first time" : "")
        printMoves(trial, scale, rest: rest)
        if let outcome = trial.outcome { printLatencies(outcome.latencies, scale) }
    }

    private func printMoves(_ trial: Trial, _ scale: String, rest: Int) {
        let moves = trial.moves
        let count = Double(moves.costs.count)
        // Each way all of them.
        let state =
            Double(setting.rows * Session.stateBytes) * count / Double(NodeSetting.partitions)
        func result(_ metric: String, _ unit: String, _ value: Double, _ subject: String? = nil) {
            Result("migration: " + metric, subject ?? Target.subject, scale, unit, value).print()
        }
        reportPercentiles("migration: blackout", Target.subject, scale, moves.blackouts)
        result("state a second", "MB/s", state / moves.seconds / 1e6)
        result("bytes sent over those of the state", "x", Double(moves.sentBytes) / state)
        result("rounds", "", Double(moves.rounds) / count)
        result("moves given up first", "", Double(moves.givenUp))
        for (side, use) in [("source", trial.source), ("target", trial.target)] {
            let subject = "\(Target.subject), \(side)"
            result("processor time a GB", "s", Double(use.processor) / state, subject)
            result("memory above rest", "MB", Double(use.peak - rest) / 1e6, subject)
        }
    }

    private func printLatencies(_ latencies: Latencies, _ scale: String) {
        let seen = "migration: longest latency in a move, of its partition's writes"
        reportPercentiles(seen, Target.subject, scale, latencies.longest(in: [.out, .back]))
        reportPercentiles(
            seen, Target.unmoved, scale, latencies.longest(in: [.before, .between, .after]))
        let metric = "migration: latency of a write"
        let moving: [Phase] = [.out, .back]
        let quiet: [Phase] = [.before, .between, .after]
        for isForwarded in [false, true] {
            let suffix = isForwarded ? ", forwarded" : ""
            for (subject, phases, isMoving) in [
                (Target.unmoved, quiet, Bool?.none), (Target.others, moving, false),
                ("the partition that moves", moving, true),
            ] {
                OpenLoop.report(
                    metric + suffix, subject, scale,
                    latencies.histogram(phases, isMoving: isMoving, isForwarded: isForwarded))
            }
        }
    }
}
