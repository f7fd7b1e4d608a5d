import CMachine
import Caesura
import Synchronization

/// `pause`: how long a cut, or a fork, holds up a writer at full speed.
enum PauseBenchmark {
    static let window: UInt64 = 5_000_000

    static func run(_ options: Options) throws {
        let state = try options.int("state")
        let forks = try options.int("forks", default: 20)
        let rows = state / Session.stateBytes
        let scale = sizeName(state)
        switch try options.string("subject") {
        case "caesura":
            let table = try CaesuraTable()
            _ = table.fill(rows: rows)
            let cuts = try options.int("cuts", default: 200)
            measureCuts(table, rows: rows, cuts: cuts, scale: scale)
            // Last, because a fork slows the writer long after it: each page faults once.
            try measureForks(table, rows: rows, forks: forks, scale: scale)
        case "dictionary":
            let table = DictionaryTable()
            _ = table.fill(rows: rows)
            try measureForks(table, rows: rows, forks: forks, scale: scale)
        case let other: throw Failure("no such subject: \(other)")
        }
    }

    static func sizeName(_ bytes: Int) -> String {
        bytes >= 1_000_000_000 ? "\(bytes / 1_000_000_000) GB" : "\(bytes / 1_000_000) MB"
    }

    private static func measureCuts(
        _ table: CaesuraTable, rows: Int, cuts: Int, scale: String
    ) {
        let subject = CaesuraTable.subject
        let resident = Memory.residentBytes()
        Result("pause: resident memory", subject, scale, "MB", Double(resident) / 1e6).print()
        var releases: [UInt64] = []
        var flips: [UInt64] = []
        let measured = underWriter(table, rows: rows) { windows in
            for _ in 0..<cuts {
                windows.control()
                var cut: Cut?
                windows.pause { cut = table.store.cut() }
                if let cut { flips.append(UInt64(cut.pause / .nanoseconds(1))) }
                let start = now()
                cut?.close()
                releases.append(now() - start)
                windows.settle()
            }
        }
        reportPercentiles("pause: call", subject, scale, measured.calls)
        reportPercentiles("pause: flip", subject, scale, flips)
        reportPercentiles("pause: call", "floor, spinning", scale, measured.spinning)
        reportPercentiles("pause: longest gap of the writer", subject, scale, measured.pausedGaps)
        reportPercentiles(
            "pause: longest gap of the writer", "floor, same writer", scale, measured.controlGaps)
        reportPercentiles("after a pause: release", subject, scale, releases)
        Result("pause: writes beside it", subject, scale, "M/s", measured.writes / 1e6).print()
    }

    /// Forks under the writer; the child holds the state for a window, as a cut would be held.
    private static func measureForks<Table: SessionTable>(
        _ table: Table, rows: Int, forks: Int, scale: String
    ) throws {
        let subject = "fork, \(Table.subject)"
        let resident = Memory.residentBytes()
        Result("pause: resident memory", subject, scale, "MB", Double(resident) / 1e6).print()
        let measured = underWriter(table, rows: rows) { windows in
            for _ in 0..<forks {
                windows.control()
                var child: Int32 = -1
                windows.pause { child = machine_fork_sleeper(Int32(window / 1_000_000)) }
                machine_wait(child)
                windows.settle()
            }
        }
        reportPercentiles("pause: call", subject, scale, measured.calls)
        reportPercentiles("pause: longest gap of the writer", subject, scale, measured.pausedGaps)
    }

    /// What one thread measures while the other writes.
    struct Windows {
        var calls: [UInt64] = []
        var controls: [Range<UInt64>] = []
        var pauses: [Range<UInt64>] = []
        var spinning: [UInt64] = []

        /// Spins for a window and notes the longest gap between two readings of the clock.
        mutating func control() {
            let start = now()
            spinning.append(Self.spin(until: start + window))
            controls.append(start..<start + window)
        }

        /// Times `call` and opens a window at its start, through whose rest it spins.
        mutating func pause(_ call: () -> Void) {
            let start = now()
            call()
            calls.append(now() - start)
            pauses.append(start..<max(now(), start + window))
            _ = Self.spin(until: start + window)
        }

        /// Lets a window pass that nobody looks at.
        func settle() { _ = Self.spin(until: now() + window) }

        private static func spin(until end: UInt64) -> UInt64 {
            var last = now()
            var longest: UInt64 = 0
            while last < end {
                let time = now()
                longest = max(longest, time - last)
                last = time
            }
            return longest
        }
    }

    struct Measured {
        var calls: [UInt64]
        var spinning: [UInt64]
        var controlGaps: [UInt64]
        var pausedGaps: [UInt64]
        var writes: Double
    }

    /// Runs `body` on core 1 while a writer on core 0 updates random rows as fast as it can.
    static func underWriter<Table: SessionTable>(
        _ table: Table, rows: Int, _ body: (inout Windows) -> Void
    ) -> Measured {
        let stop = Flag()
        let isWriting = Flag()
        let log = GapLog(capacity: 4_000_000)
        let writer = Worker<Writer>(core: 0) {
            var random = RandomRows(rows: rows)
            var count = 0
            let start = now()
            var last = start
            while !stop.isSet {
                table.addVisit(Session.id(random.next()))
                let time = now()
                log.note(end: time, length: time - last)
                last = time
                count += 1
                if count == 1000 { isWriting.set() }
            }
            return Writer(log: log, rate: Double(count) / Double(last - start) * 1e9)
        }
        _ = machine_pin(1)
        var windows = Windows()
        while !isWriting.isSet {}
        windows.settle()
        body(&windows)
        stop.set()
        let written = writer.wait()
        if written.log.dropped > 0 { print("note\t\(written.log.dropped) gaps had no room") }
        return Measured(
            calls: windows.calls, spinning: windows.spinning,
            controlGaps: written.log.longest(in: windows.controls),
            pausedGaps: written.log.longest(in: windows.pauses), writes: written.rate)
    }

    private struct Writer: Sendable {
        var log: GapLog
        var rate: Double
    }
}

/// What one thread tells another, once.
final class Flag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}
