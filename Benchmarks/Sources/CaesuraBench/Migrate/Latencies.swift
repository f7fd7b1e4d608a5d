import Histogram

/// How long the writes of a load took from when they were due, by what went on then.
final class Latencies: @unchecked Sendable {
    // `@unchecked Sendable`: the thread of the load writes it, and others read it when that has ended.
    private let stretches: Stretches
    private var histograms: [Histogram<UInt64>]
    /// For each stretch the longest latency of a write to its partition; 0 if there was none.
    private(set) var longest = [UInt64](repeating: 0, count: Stretches.limit)
    private(set) var timeline: Timeline?
    private(set) var count = 0

    init(_ stretches: Stretches, timeline: Timeline?) {
        self.stretches = stretches
        self.timeline = timeline
        histograms = (0..<Phase.allCases.count * 4).map { _ in OpenLoop.histogram() }
    }

    private static func place(_ phase: Phase, _ isMoving: Bool, _ isForwarded: Bool) -> Int {
        phase.rawValue * 4 + (isMoving ? 2 : 0) + (isForwarded ? 1 : 0)
    }

    /// Notes a write that was done.
    func record(_ request: WriteRequest) {
        let latency = request.done > request.due ? request.done - request.due : 0
        let number = Int(request.stretch)
        let stretch = stretches[number]
        let isMoving = stretch.partition == Int(request.partition)
        if isMoving { longest[number] = max(longest[number], latency) }
        histograms[Self.place(stretch.phase, isMoving, request.isForwarded)].record(latency)
        timeline?.record(latency, due: request.due)
        count += 1
    }

    /// Those of some phases, together.
    ///
    /// - Parameters:
    ///   - isMoving: Of writes to the partition that moves, or of those to others; nil for both.
    ///   - isForwarded: Of writes that were sent to the other process, or of those that were not; nil for both.
    func histogram(
        _ phases: [Phase], isMoving: Bool? = nil, isForwarded: Bool? = nil
    ) -> Histogram<UInt64> {
        var sum = OpenLoop.histogram()
        for phase in phases {
            for moving in [false, true] where isMoving == nil || isMoving == moving {
                for forwarded in [false, true]
                where isForwarded == nil || isForwarded == forwarded {
                    sum.add(histograms[Self.place(phase, moving, forwarded)])
                }
            }
        }
        return sum
    }

    /// The longest latency of a write to the partition that moved, of each move of some phases; in quiet ones, of each
    /// stretch that is as long as a move.
    func longest(in phases: [Phase]) -> [UInt64] {
        zip(stretches.all, longest).filter { phases.contains($0.0.phase) && $0.1 > 0 }.map(\.1)
    }
}
