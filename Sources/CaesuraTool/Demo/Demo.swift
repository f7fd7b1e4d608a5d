import ArgumentParser
import Caesura
import CaesuraRepository
import Foundation

/// `caesura demo`.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Save a million sessions under load, in two usual ways and with Caesura; then move them.",
        discussion: """
            In the end they move to a second process, which the demo starts. Takes less than two minutes. Writes \
            report.html and leaves a repository to inspect.
            """)

    @Option(help: "Where the report and the repository go.")
    var directory = "caesura-demo"
    @Option(help: ArgumentHelp("How many sessions there are.", valueName: "count"))
    var rows = 1_000_000
    @Option(help: ArgumentHelp("Writes due each second.", valueName: "number"))
    var rate = 50_000
    @Flag(help: "Print the measurements as JSON.")
    var json = false

    /// How long the load runs before the first save and after the last one, in nanoseconds.
    private static let margin: UInt64 = 2_000_000_000
    /// Wide enough for a thousand writes, narrow enough to see one save.
    private static let window: UInt64 = 20_000_000

    mutating func validate() throws {
        guard !directory.isEmpty else {
            throw ValidationError("--directory needs the name of a directory")
        }
        guard rows > 0, rows <= 100_000_000 else {
            throw ValidationError("--rows is from 1 to 100000000")
        }
        guard rate > 0, rate <= 1_000_000 else {
            throw ValidationError("--rate is from 1 to 1000000")
        }
    }

    func run() async throws {
        let place = try await DemoDirectory(directory)
        try say("\(rows.grouped) sessions, \(rate.grouped) writes a second, \(cores) cores\n")
        var runs = [
            try await runDictionary(
                place, "1. A dictionary behind a lock, encoded by JSONEncoder with the lock held",
                name: "Lock and JSON",
                "Writers are kept out while JSONEncoder works through the table.",
                save: { try $0.saveUnderLock(to: $1) }),
            try await runDictionary(
                place, "2. The same, with the lock held for a copy and the copy encoded outside",
                name: "Copy and JSON",
                "A copy of a dictionary takes no time; the next write pays for it, which has to copy all rows "
                    + "before it changes one, with the lock held.",
                save: { try $0.saveCopy(to: $1) }),
        ]
        let store = Store()
        let sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
        runs.append(try await runCaesura(place, store, sessions))
        let migration = try await migrate(place, store, sessions)
        let report = DemoReport(
            rows: rows, writesPerSecond: rate, cores: cores, runs: runs, migration: migration)
        try place.write(ReportPage(report: report).html, to: "report.html")
        if json {
            try StandardOutput.writeJSON(report)
        } else {
            try say("\n" + report.text)
            try say("report      \(place.path("report.html"))")
            let state = place.path("state")
            try say("repository  \(state)    look: caesura inspect \(state)")
        }
    }

    private var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

    /// Tells a person what goes on; a script that asked for JSON is spared it.
    private func say(_ line: String) throws(ToolError) {
        if !json { try StandardOutput.write(line + "\n") }
    }

    // MARK: The usual ways

    private func runDictionary(
        _ place: DemoDirectory, _ title: String, name: String, _ explanation: String,
        save: @escaping (LockedSessions, ScratchFile) throws -> (pause: UInt64, byteCount: Int)
    ) async throws -> DemoReport.Run {
        try say(title)
        let sessions = LockedSessions(count: rows)
        let rows = rows
        let file = try ScratchFile(place.path("sessions.json"))
        return try await measure(
            name, explanation, saves: 1, pausing: 0,
            makeWrite: {
                var visits = Visits(sessionCount: rows)
                return { _ in
                    let (id, time) = visits.next()
                    sessions.visit(id, at: time)
                    return .measured
                }
            },
            save: { try save(sessions, file) })
    }

    // MARK: With Caesura

    private func runCaesura(
        _ place: DemoDirectory, _ store: Store, _ sessions: Table<UInt64, Session>
    ) async throws -> DemoReport.Run {
        try say("3. A Caesura table, checkpointed into a repository")
        for index in 0..<rows { sessions[Session.id(index)] = Session(index: index) }
        let rows = rows
        return try await measure(
            "Caesura", "A cut flips an epoch; encoding and writing go on beside the writers.",
            saves: 10, pausing: 1_000_000_000,
            makeWrite: {
                var visits = Visits(sessionCount: rows)
                return { _ in
                    let (id, time) = visits.next()
                    sessions.update(id) {
                        $0.visits &+= 1
                        $0.lastSeen = time
                    }
                    return .measured
                }
            },
            save: {
                let checkpoint = try await place.repository.checkpoint(store)
                return (checkpoint.timings.pause, checkpoint.storedBytes)
            })
    }

    private func migrate(
        _ place: DemoDirectory, _ store: Store, _ sessions: Table<UInt64, Session>
    ) async throws -> DemoReport.Migration {
        try say("4. The same table moves to another process")
        let migration = try await DemoMigration(
            store, sessions, owners: place.owners, window: Self.window)
        let moved = try await migration.run(
            sessionCount: rows, rate: rate, margin: Self.margin)
        try say(
            "   \(moved.partitions) partitions, \(byteText(moved.byteCount)) in \(durationText(moved.duration)); "
                + "longest blackout \(durationText(moved.longestBlackout)), "
                + "longest wait of a write \(durationText(moved.during.p100))")
        return moved
    }

    // MARK: Measuring

    /// Runs the load, saves under it, and collects what the writes met.
    ///
    /// - Parameters:
    ///   - saves: How many times to save.
    ///   - interval: Time from the start of one save to the start of the next, in nanoseconds.
    private func measure(
        _ name: String, _ explanation: String, saves: Int, pausing interval: UInt64,
        makeWrite: @escaping @Sendable () -> ((UInt64) -> OpenLoop.Outcome),
        save: () async throws -> (pause: UInt64, byteCount: Int)
    ) async throws -> DemoReport.Run {
        var progress = ProgressBar("   \(name.lowercased())")
        let writer = WriterThread(
            perSecond: Double(rate), duration: 2 * Self.margin + UInt64(saves) * interval,
            window: Self.window, makeWrite: makeWrite)
        var ended = false
        defer { if !ended { _ = writer.finish() } }
        var pauses: [UInt64] = []
        var spans: [DemoReport.Span] = []
        var byteCount = 0
        var next = writer.start + Self.margin
        for index in 0..<saves {
            try await MonotonicClock.wait(until: next)
            progress.update(Double(index) / Double(saves), "save \(index + 1) of \(saves)")
            let start = MonotonicClock.now()
            let saved = try await writer.whileSaving(save)
            spans.append(
                .init(start: start - writer.start, end: MonotonicClock.now() - writer.start))
            pauses.append(saved.pause)
            byteCount = saved.byteCount
            next = max(next + interval, MonotonicClock.now())
        }
        progress.clear()
        try await MonotonicClock.wait(until: MonotonicClock.now() + Self.margin)
        let loop = writer.finish()
        ended = true
        let floor = loop.floor.latencies
        let longest = pauses.max() ?? 0
        try say(
            "   \(saves) \(saves == 1 ? "save" : "saves") of \(byteText(byteCount)); "
                + "longest pause \(durationText(longest)), "
                + "longest wait of a write \(durationText(loop.duringCheckpoint.value(at: 100)))")
        return DemoReport.Run(
            name: name, explanation: explanation, pauses: pauses, byteCount: byteCount,
            calm: loop.calm.percentiles, duringSave: loop.duringCheckpoint.percentiles,
            curve: loop.duringCheckpoint.curve, floor: floor.percentiles, floorCurve: floor.curve,
            timeline: loop.timeline.longest, timelineWindow: Self.window, saves: spans)
    }
}
