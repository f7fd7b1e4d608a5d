import Synchronization

/// What goes on while there is load.
enum Phase: Int, CaseIterable, Sendable {
    /// Nothing moves; all is at node a.
    case before
    /// The partitions move from a to b.
    case out
    /// Nothing moves; all is at node b.
    case between
    /// The partitions move from b to a.
    case back
    /// Nothing moves; all is at node a.
    case after

    var isQuiet: Bool { self == .before || self == .between || self == .after }
}

/// A stretch of time in which one partition moves, or of the same length in which it would if this were no quiet phase.
struct Stretch: Sendable {
    var begin: UInt64
    var phase: Phase
    var partition: Int
}

/// The stretches of a load: one thread begins them, and another one asks in which of them a request was due.
final class Stretches: @unchecked Sendable {
    // `@unchecked Sendable`: a place is written before `count` says so, and read after.
    private let places = UnsafeMutablePointer<Stretch>.allocate(capacity: limit)
    private let count = Atomic<Int>(0)

    /// Five phases of 16 partitions, and some that are tried again.
    static let limit = 1_024

    deinit { places.deallocate() }

    /// Begins one now, which ends the one before.
    func begin(_ phase: Phase, _ partition: Int) {
        let count = count.load(ordering: .relaxed)
        precondition(count < Self.limit, "too many stretches")
        places[count] = Stretch(begin: now(), phase: phase, partition: partition)
        self.count.store(count + 1, ordering: .releasing)
    }

    subscript(number: Int) -> Stretch { places[number] }

    /// All of them.
    var all: [Stretch] { (0..<count.load(ordering: .acquiring)).map { places[$0] } }

    /// The one in which a time is; times come in order.
    func number(at time: UInt64, from last: Int) -> Int {
        var number = last
        let count = count.load(ordering: .acquiring)
        while number + 1 < count, places[number + 1].begin <= time { number += 1 }
        return number
    }
}
