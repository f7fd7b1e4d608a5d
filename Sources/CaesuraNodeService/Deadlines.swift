import CaesuraNode

/// When the timers of a node are over.
struct Deadlines {
    private var times: [Node.Timer: Duration] = [:]

    /// Sets a timer, in place of what it was set to; nil for never.
    mutating func set(_ timer: Node.Timer, to time: Duration?) { times[timer] = time }

    /// The earliest.
    ///
    /// - Complexity: O(timers).
    var earliest: Duration? { times.values.min() }

    /// Takes those out that are over, the earliest first.
    mutating func takeDue(at now: Duration) -> [Node.Timer] {
        let due = times.filter { $0.value <= now }.sorted { $0.value < $1.value }.map(\.key)
        for timer in due { times[timer] = nil }
        return due
    }
}
