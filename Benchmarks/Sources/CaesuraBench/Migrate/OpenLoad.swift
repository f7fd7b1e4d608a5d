import CMachine
import Synchronization

/// Writes at fixed times, from one thread: where the partition is served here they are done at once, or else sent to the
/// other process.
///
/// A write that is late because others before it were is late all the same: its latency counts from when it was due. The
/// thread sleeps while nothing is due, for at least ``tick`` unless a write has waited long enough, because each core also has
/// a node to run.
final class OpenLoad: Sendable {
    private let node: SessionNode
    private let rings: RequestRings
    private let rate: Int
    private let stretches: Stretches
    private let keepsTimeline: Bool
    /// Writes that are due from then on are not done.
    private let end = Atomic<UInt64>(.max)
    private let lag = Atomic<UInt64>(0)

    /// How long it sleeps at least for writes that are due later: on a virtual machine each waking up costs up to 10 us of a
    /// core.
    private static let tick: UInt64 = 100_000
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

    /// How much it is behind, in time: since when the next write was due, or what so many take that are not done.
    var isLateBy: UInt64 { lag.load(ordering: .relaxed) }

    /// Lets no more writes become due.
    func finish() { end.store(now(), ordering: .relaxed) }

    /// Goes on until all writes are done that were due before it was finished.
    func run() -> Outcome {
        machine_sleep_precisely()
        let latencies = Latencies(stretches, timeline: keepsTimeline ? Timeline() : nil)
        let resumed = ResumedRequests(rings.answers.bell)
        var random = RandomRows(rows: node.setting.rows, seed: now() | 1)
        let start = now() + 1_000_000
        var due = start
        var issued = 0
        var stretch = 0
        var isForwarding = false

        func attempt(_ request: WriteRequest) {
            var request = request
            switch node.attempt(request, resumed: resumed) {
            case .done:
                request.done = now()
                latencies.record(request)
            case .waits: break
            case .elsewhere:
                request.isForwarded = true
                if rings.requests.push(request) {
                    isForwarding = true
                } else {
                    resumed.add(request)
                }
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
            if isForwarding {
                isForwarding = false
                rings.requests.bell.ring()
            }
            let undone = UInt64(issued - latencies.count) * 1_000_000_000 / UInt64(rate)
            lag.store(max(time > due ? time - due : 0, undone), ordering: .relaxed)
            let isOver = due >= end
            if isOver, latencies.count == issued { break }
            if due <= time, !isOver { continue }
            // Of what is done the answers come without a sound.
            let next = isOver ? time + Self.tick : max(due, time + Self.tick)
            rings.answers.bell.sleep(until: next)
        }
        return Outcome(latencies: latencies, due: issued)
    }
}

/// Writes that the other process sends, from one thread.
final class ForwardedLoad: Sendable {
    private let node: SessionNode
    private let rings: RequestRings
    private let isDone = Flag()

    /// How long it sleeps at most: it is not told that it is finished.
    private static let pause: UInt64 = 10_000_000

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
        let resumed = ResumedRequests(rings.requests.bell)
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
            if request.done == 0 { rings.answers.bell.ring() }
        }
        while !isDone.isSet {
            while let request = rings.requests.take() { attempt(request) }
            for request in resumed.takeAll() { attempt(request) }
            rings.requests.bell.sleep(until: now() + Self.pause)
        }
        return count
    }
}
