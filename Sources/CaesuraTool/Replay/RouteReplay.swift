import CaesuraRepository
import CaesuraRoutes
import Foundation

/// A live routing table: filled from dumps, kept up to date at a steady rate, and checkpointed meanwhile.
///
/// Updates are read into memory a stretch at a time before they are applied, so that what is measured is the
/// table and not the reading of files.
final class RouteReplay {
    private let table: RoutingTable
    private let repository: Repository
    /// Updates due each second, or nil for one after the other.
    private let rate: Double?
    /// Time from the start of one checkpoint to the start of the next, in nanoseconds.
    private let checkpointInterval: UInt64

    private var badLines = BadLines()
    private var checkpoints: [ReplayReport.Checkpoint] = []

    /// Updates held in memory at once: about 300 MB of them.
    private static let stretch = 1_000_000
    /// The timeline is not shown, so its windows are wide.
    private static let window: UInt64 = 1_000_000_000

    init(
        table: RoutingTable, repository: Repository, rate: Double?, checkpointInterval: UInt64
    ) {
        self.table = table
        self.repository = repository
        self.rate = rate
        self.checkpointInterval = checkpointInterval
    }

    /// Reads the dumps, then the updates, and takes a last checkpoint of how it all ended.
    func run(
        dumps: [String], updates: [String], directory: String
    ) async throws -> (report: ReplayReport, badLines: BadLines) {
        let load = try load(dumps)
        var applied: ReplayReport.Updates?
        if !updates.isEmpty { applied = try await apply(updates) }
        try await checkpoint(underLoad: { false })
        let report = ReplayReport(
            load: load, updates: applied, checkpoints: checkpoints,
            badLines: Dictionary(
                uniqueKeysWithValues: badLines.counts.map { ($0.rawValue, $1) }),
            repository: directory)
        return (report, badLines)
    }

    // MARK: The table

    private func load(_ paths: [String]) throws -> ReplayReport.Load {
        let start = MonotonicClock.now()
        var progress = ProgressBar("reading")
        defer { progress.clear() }
        var lines = 0
        for path in paths {
            var file = try RouteFile(path: path)
            while let line = try file.next() {
                _ = table.apply(line)
                lines += 1
                if lines & 0x3FFF == 0 {
                    try Interruption.check()
                    progress.update(file.share, "\(lines.grouped) lines")
                }
            }
            badLines.merge(file.badLines)
        }
        return ReplayReport.Load(
            lines: lines, rows: table.count, time: MonotonicClock.now() - start)
    }

    // MARK: The updates

    private func apply(_ paths: [String]) async throws -> ReplayReport.Updates {
        let merge = try RouteMerge(paths: paths)
        var updates = ReplayReport.Updates()
        updates.rate = rate
        var calm = LatencyHistogram()
        var during = LatencyHistogram()
        var floor = NoiseFloor()
        var progress = ProgressBar("applying updates")
        defer { progress.clear() }
        while true {
            let lines = try merge.next(Self.stretch)
            if lines.isEmpty { break }
            let measured = try await apply(lines, &updates, &progress)
            calm.add(measured.loop.calm)
            during.add(measured.loop.duringCheckpoint)
            floor.add(measured.floor)
        }
        badLines.merge(merge.badLines)
        updates.calm = calm.percentiles
        updates.duringCheckpoint = during.percentiles
        updates.floor = floor.latencies.percentiles
        return updates
    }

    /// Applies a stretch of updates on a thread of their own, and takes checkpoints on this one.
    private func apply(
        _ lines: [RouteLine], _ updates: inout ReplayReport.Updates, _ progress: inout ProgressBar
    ) async throws -> (loop: OpenLoop, floor: NoiseFloor) {
        let applied = AppliedUpdates()
        let before = updates.count
        // Without pauses between updates there is nothing to see the machine's noise by, so a second thread
        // looks; where cores are few it would itself be the noise, and looks for a second beforehand.
        let isCrowded = ProcessInfo.processInfo.activeProcessorCount < 3
        var floor = NoiseFloor()
        if rate == nil, isCrowded { floor = NoiseFloor.watch(for: 1_000_000_000) }
        let gaps = rate == nil && !isCrowded ? GapThread() : nil
        let table = table
        let writer = WriterThread(
            perSecond: rate, duration: UInt64(Double(lines.count) / (rate ?? 1e6) * 1e9),
            window: Self.window,
            makeWrite: {
                var next = 0
                var own = ReplayReport.Updates()
                return { _ in
                    guard next < lines.count, !Interruption.isRequested else {
                        applied.finish(own)
                        return .over
                    }
                    let effect = table.apply(lines[next])
                    own.record(effect)
                    next += 1
                    applied.advance(to: next)
                    // A search through the whole table is no update.
                    if case .sessionEnded = effect { return .apart }
                    return .measured
                }
            })
        var failure: (any Error)?
        do {
            var next = MonotonicClock.now()
            while !writer.hasEnded {
                if MonotonicClock.now() >= next {
                    next = MonotonicClock.now() + checkpointInterval
                    try await writer.whileSaving {
                        try await checkpoint(underLoad: { !writer.hasEnded })
                    }
                }
                progress.update(nil, (before + applied.reached).grouped)
                try await Task.sleep(nanoseconds: 1_000_000)
            }
        } catch { failure = error }
        let loop = writer.finish()
        if let gaps { floor = gaps.finish() } else if rate != nil { floor = loop.floor }
        if let failure { throw failure }
        try Interruption.check()
        updates.add(applied.total)
        updates.time += writer.duration
        return (loop, floor)
    }

    // MARK: Checkpoints

    private func checkpoint(underLoad: () -> Bool) async throws {
        let wasUnderLoad = underLoad()
        var options = CheckpointOptions()
        options.holdsBase = true
        let checkpoint = try await repository.checkpoint(table.store, options: options)
        checkpoints.append(
            ReplayReport.Checkpoint(
                epoch: checkpoint.epoch, rows: checkpoint.rows, changes: checkpoint.changes,
                pause: checkpoint.timings.pause,
                encode: checkpoint.timings.encode, total: checkpoint.timings.total,
                byteCount: checkpoint.storedBytes, wasUnderLoad: wasUnderLoad))
    }
}
