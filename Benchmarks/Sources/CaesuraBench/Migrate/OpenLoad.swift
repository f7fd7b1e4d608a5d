import CMachine
import Synchronization

/// Writes at fixed times, from one thread: where the partition is served here they are done at once, or else sent to the
/// other process.
///
/// A write that is late because others before it were is late all the same: its latency counts from when it was due. The
/// thread sleeps while nothing is due, for at least ``tick``, because each core also has a node to run.
final class OpenLoad: Sendable {
    private let node: SessionNode
    private let rings: RequestRings
    private let rate: Int
    private let stretches: Stretches
    private let keepsTimeline: Bool
    /// Writes that are due from then on are not done.
    private let end = Atomic<UInt64>(.max)
    private let lag = Atomic<UInt64>(0)

    /// How long threads of the load sleep at least: each waking up costs some microseconds of a core.
    static let tick: UInt64 = 20_000
    /// Writes after which a thread that is late looks for answers.
    private static let batch = 256

    /// What came of it.
    struct Outcome: Sendable {
        var latencies: Latencies
        /// Writes that were due until the end.
        var due: Int
    }

    init(
        _ node: SessionNode, _ rings: RequestRings, perSecond rate: Int, _ stretches: Stretches,
        keepsTimeline: Bool
    ) {
        self.node = node
        self.rings = rings
        self.rate = rate
        self.stretches = stretches
        self.keepsTimeline = keepsTimeline
    }

    /// How late it is: from when the next write was due.
    var isLateBy: UInt64 { lag.load(ordering: .relaxed) }

    /// Lets no more writes become due.
    func finish() { end.store(now(), ordering: .relaxed) }

    /// Goes on until all writes are done that were due before it was finished.
    func run() -> Outcome {
        machine_sleep_precisely()
        let latencies = Latencies(stretches, timeline: keepsTimeline ? Timeline() : nil)
        let resumed = ResumedRequests()
        var random = RandomRows(rows: node.setting.rows, seed: now() | 1)
        let start = now() + 1_000_000
        var due = start
        var issued = 0
        var stretch = 0

        func attempt(_ request: WriteRequest) {
            var request = request
            switch node.attempt(request, resumed: resumed) {
            case .done:
                request.done = now()
                latencies.record(request)
            case .waits: break
            case .elsewhere:
                request.isForwarded = true
                if !rings.requests.push(request) { resumed.add(request) }
            }
        }

        while true {
            while let answer = rings.answers.take() {
                if answer.done > 0 { latencies.record(answer) } else { attempt(answer) }
            }
            for request in resumed.takeAll() { attempt(request) }
            let end = end.load(ordering: .relaxed)
            var time = now()
            var rest = Self.batch
            while due <= time, due < end, rest > 0 {
                stretch = stretches.number(at: due, from: stretch)
                let row = random.next()
                attempt(
                    WriteRequest(
                        due: due, row: UInt32(row), stretch: UInt16(stretch),
                        partition: UInt8(node.partition(ofRow: row))))
                issued += 1
                due = start + UInt64(issued) * 1_000_000_000 / UInt64(rate)
                rest -= 1
                time = now()
            }
            lag.store(time > due ? time - due : 0, ordering: .relaxed)
            let isOver = due >= end
            if isOver, latencies.count == issued { break }
            if due <= time, !isOver { continue }
            // Answers come without a sound.
            let isAlone = latencies.count == issued
            machine_sleep_until(isAlone ? max(due, time + Self.tick) : time + Self.tick)
        }
        return Outcome(latencies: latencies, due: issued)
    }
}

/// Writes that the other process sends, from one thread.
final class ForwardedLoad: Sendable {
    private let node: SessionNode
    private let rings: RequestRings
    private let isDone = Flag()

    init(_ node: SessionNode, _ rings: RequestRings) {
        self.node = node
        self.rings = rings
    }

    /// Ends it; nothing is on its way then.
    func finish() { isDone.set() }

    /// Goes on until it is finished.
    ///
    /// - Returns: How many writes were done.
    func run() -> Int {
        machine_sleep_precisely()
        let resumed = ResumedRequests()
        var count = 0
        func attempt(_ request: WriteRequest) {
            var request = request
            switch node.attempt(request, resumed: resumed) {
            case .done:
                request.done = now()
                count += 1
            case .waits: return
            case .elsewhere: break
            }
            // The load has no more on its way than there is room for.
            if !rings.answers.push(request) { preconditionFailure("too many answers") }
        }
        while !isDone.isSet {
            var isIdle = true
            while let request = rings.requests.take() {
                attempt(request)
                isIdle = false
            }
            for request in resumed.takeAll() {
                attempt(request)
                isIdle = false
            }
            if isIdle { machine_sleep_until(now() + OpenLoad.tick) }
        }
        return count
    }
}
