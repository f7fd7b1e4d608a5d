import HeapModule

/// What is to happen in a simulated world, and when: its clock goes from one to the next.
///
/// What is to happen at the same time happens in the order in which it was scheduled.
struct Agenda {
    private struct Item: Comparable {
        let time: Duration
        let number: UInt64
        let body: () -> Void

        static func < (a: Self, b: Self) -> Bool { (a.time, a.number) < (b.time, b.number) }
        static func == (a: Self, b: Self) -> Bool { a.number == b.number }
    }

    private var items = Heap<Item>()
    private var lastNumber: UInt64 = 0

    /// The time since the beginning.
    private(set) var now = Duration.zero

    /// Schedules something, not before now.
    mutating func schedule(at time: Duration, _ body: @escaping () -> Void) {
        lastNumber += 1
        items.insert(Item(time: max(time, now), number: lastNumber, body: body))
    }

    /// Takes what comes next, and sets the clock to it; nil when nothing is to happen, or nothing before a time.
    mutating func next(before end: Duration) -> (() -> Void)? {
        guard let first = items.min, first.time < end else { return nil }
        items.removeMin()
        now = first.time
        return first.body
    }
}
