import CMachine
import Caesura
import CaesuraRepository
import Foundation
import Synchronization

/// `continuous`: what ten checkpoints a second cost the writers, in one run with windows without any.
enum ContinuousBenchmark {
    static func run(_ options: Options) async throws {
        let rows = try options.int("rows", default: 1_000_000)
        let seconds = try options.int("seconds", default: 3)
        let rounds = try options.int("rounds", default: 3)
        let directory = try options.string("directory", default: "/tmp")
        let interval = try options.int("milliseconds", default: 100)
        let rate = try options.int("rate", default: 0)
        let work = try options.int("work", default: 0)
        let theta = try options.flag("zipf") ? 0.99 : 0
        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        let scale =
            short(rows) + (theta > 0 ? ", Zipf" : "")
            + (rate > 0 ? ", \(short(rate))/s" : "")
            + (work > 0 ? ", \(short(work)) ns of work" : "")
        var off: [Window] = []
        var on: [Window] = []
        var retained = 0
        var bytes: [Int] = []
        var changes: [Int] = []
        let scratch = try ScratchDirectory(in: directory)
        let repository = try await Repository.open(.directory(scratch.path + "/state"))
        let zipf = theta > 0 ? Zipf(count: rows, theta: theta) : nil
        for _ in 0..<rounds {
            off.append(
                await writing(
                    table, rows: rows, rate: rate, work: work, zipf, milliseconds: seconds * 1000))
            let sizes = Mutex<[Checkpoint]>([])
            var settings = ContinuousCheckpoints.Options()
            settings.observer = { event in
                if case .checkpoint(let taken) = event { sizes.withLock { $0.append(taken) } }
                if case .failed(let error) = event { print("note\t\(error)") }
            }
            let checkpoints = repository.checkpoints(
                of: table.store, every: .milliseconds(interval), options: settings)
            let running = Task { try await checkpoints.run() }
            // The first is full.
            try await checkpoints.durable()
            on.append(
                await writing(
                    table, rows: rows, rate: rate, work: work, zipf, milliseconds: seconds * 1000
                ) {
                    retained = max(retained, table.store.memoryUse.retained)
                })
            let deltas = sizes.withLock { $0.filter { !$0.isFull } }
            bytes += deltas.map(\.storedBytes)
            changes += deltas.compactMap(\.changes)
            running.cancel()
            try await running.value
        }
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, CaesuraTable.subject, scale, unit, value).print()
        }
        let (without, with) = (best(off.map(\.rate)), best(on.map(\.rate)))
        report("continuous: updates without", "M/s", without / 1e6)
        report("continuous: updates with", "M/s", with / 1e6)
        report("continuous: throughput lost", "%", 100 * (1 - with / without))
        let (cpuWithout, cpuWith) = (lowest(off.map(\.cpu)), lowest(on.map(\.cpu)))
        report("continuous: writer's time an update without", "ns", cpuWithout)
        report("continuous: writer's time an update with", "ns", cpuWith)
        report(
            "continuous: checkpoints", "/s", Double(bytes.count) / Double(rounds * seconds))
        report(
            "continuous: changed rows a checkpoint", "rows",
            Double(changes.reduce(0, +)) / Double(max(changes.count, 1)))
        report(
            "continuous: bytes a changed row", "B",
            Double(bytes.reduce(0, +)) / Double(max(changes.reduce(0, +), 1)))
        report("continuous: held for the base, at most", "MB", Double(retained) / 1e6)
    }

    private struct Window {
        /// Updates a second.
        var rate: Double
        /// Nanoseconds of the writer's processor time an update.
        var cpu: Double
    }

    private static func best(_ values: [Double]) -> Double { values.max() ?? 0 }
    private static func lowest(_ values: [Double]) -> Double { values.min() ?? 0 }

    /// Updates rows for a time on core 0, as fast as it can or at a rate.
    ///
    /// - Parameter work: Nanoseconds that the thread is busy with something else for each update, as a service is
    ///   that reads a request and writes an answer.
    private static func writing(
        _ table: CaesuraTable, rows: Int, rate: Int, work: Int, _ zipf: Zipf?,
        milliseconds: Int,
        meanwhile: () -> Void = {}
    ) async -> Window {
        let isDone = Flag()
        let length = UInt64(milliseconds) * 1_000_000
        let writer = Worker<Window>(core: 0) {
            var random = RandomRows(rows: rows)
            var zipf = zipf
            let start = now()
            let cpu = processorTime()
            var count = 0
            while true {
                let time = now()
                if time - start >= length { break }
                // As many as are due; at full speed, a hundred between two looks at the clock.
                let due = rate > 0 ? Int(Double(time - start) / 1e9 * Double(rate)) : count + 100
                if due <= count {
                    usleep(200)
                    continue
                }
                while count < due {
                    let row = zipf?.next() ?? random.next()
                    let seen = Int64(truncatingIfNeeded: 1_700_086_400_000 + time / 1_000_000)
                    table.sessions.update(Session.id(row)) {
                        $0.visits &+= 1
                        $0.lastSeen = seen
                    }
                    count += 1
                    if work > 0 {
                        let end = now() + UInt64(work)
                        while now() < end {}
                    }
                }
            }
            let end = now()
            let used = processorTime() - cpu
            isDone.set()
            return Window(
                rate: Double(count) / Double(end - start) * 1e9, cpu: Double(used) / Double(count))
        }
        while !isDone.isSet {
            meanwhile()
            try? await Task.sleep(for: .milliseconds(5))
        }
        return writer.wait()
    }

    /// Nanoseconds that this thread has been running.
    private static func processorTime() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
