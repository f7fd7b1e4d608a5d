/// Runs an operation at fixed moments and measures from the moment it was *due*.
///
/// A loop that waits for one operation before it times the next leaves out the operations that should have
/// started meanwhile, so a pause of a second counts once. Here the schedule never waits: after a pause, every
/// operation that came due in it is late, and counts as late.
///
/// Without a schedule it runs one operation after the other, and a latency is just how long one took.
///
/// While nothing is due, the thread reads the clock, and what interrupts it then is the machine's noise floor,
/// seen by the same thread in the same run.
struct OpenLoop {
    /// Time between two operations, in nanoseconds; 0 for one after the other.
    let interval: UInt64
    /// Latencies of operations that touched no checkpoint.
    private(set) var calm = LatencyHistogram()
    /// Latencies of operations that were due, or done, while a checkpoint ran.
    private(set) var duringCheckpoint = LatencyHistogram()
    /// What the machine did to the thread while it had nothing to do and no checkpoint ran, for what a
    /// checkpoint does to the machine is not the machine's own noise.
    private(set) var floor = NoiseFloor()
    /// The same latencies in the order of time.
    private(set) var timeline: LatencyTimeline
    /// When the next operation is due.
    private var due: UInt64

    /// Creates a loop that begins now; without a rate it has no schedule.
    init(perSecond: Double?, duration: UInt64, window: UInt64) {
        interval = perSecond.map { UInt64(1e9 / $0) } ?? 0
        due = MonotonicClock.now()
        timeline = LatencyTimeline(start: due, window: window, duration: duration)
    }

    /// What an operation tells of itself.
    enum Outcome {
        /// It was one of those that are measured.
        case measured
        /// It is one of those, but ends elsewhere: whoever sees that measures it.
        case elsewhere
        /// It was something else, which is not measured; the schedule begins anew behind it.
        case apart
        /// There is no more to do.
        case over
    }

    /// Runs operations until the schedule passes `end`, or there is no more to do.
    ///
    /// - Parameters:
    ///   - end: A moment on the monotonic clock.
    ///   - meetsCheckpoint: Whether a checkpoint ran at a moment or runs now; asked before and after each
    ///     operation for the moment it was due.
    ///   - operation: The work; it is told when it was due.
    mutating func run(
        until end: UInt64, meetsCheckpoint: (UInt64) -> Bool, operation: (_ due: UInt64) -> Outcome
    ) {
        var now = MonotonicClock.now()
        while due < end {
            if interval == 0 { due = now }
            while now < due {
                let earlier = now
                now = MonotonicClock.now()
                if !meetsCheckpoint(now) { floor.record(from: earlier, to: now) }
            }
            let met = meetsCheckpoint(due)
            let outcome = operation(due)
            now = MonotonicClock.now()
            switch outcome {
            case .measured: break
            case .apart:
                due = now
                continue
            case .elsewhere:
                due &+= interval
                continue
            case .over: return
            }
            let latency = now &- due
            if met || meetsCheckpoint(due) {
                duringCheckpoint.record(latency)
            } else {
                calm.record(latency)
            }
            timeline.record(due: due, latency: latency)
            due &+= interval
        }
    }
}
