import CaesuraMigration

/// The highest rate of writes at which none stay behind, by trying.
struct HighestRate {
    let nodes: TwoNodes
    /// Whether partitions move meanwhile.
    let isMoving: Bool

    private static let lowest = 100_000
    private static let highest = 12_800_000
    /// How far writes may be behind at the end and after each move, and how long a blackout may be.
    private static let lateness: UInt64 = 10_000_000
    /// A load that is later than this has lost.
    private static let hopeless: UInt64 = 1_000_000_000
    /// How often the interval is halved: to a fortieth of the rate.
    private static let steps = 5
    private static let moved = 0..<2

    /// The rate; 0 if even the lowest does not hold.
    func search() async throws -> Int {
        var holding = 0
        var failing = Self.lowest
        while failing <= Self.highest, try await holds(failing) {
            holding = failing
            failing *= 2
        }
        guard holding > 0 else { return 0 }
        for _ in 0..<Self.steps {
            let rate = (holding + failing) / 2
            if try await holds(rate) { holding = rate } else { failing = rate }
        }
        return holding / 1_000 * 1_000
    }

    /// Whether a rate holds for a second and four moves.
    private func holds(_ rate: Int) async throws -> Bool {
        let stretches = Stretches()
        stretches.begin(.before, 0)
        guard let running = try RunningLoad(rate, of: nodes, stretches) else { return true }
        let watching = Task { [load = running.load] in
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(20))
                if load.isLateBy > Self.hopeless { load.finish() }
            }
        }
        var holds = true
        func look() { if running.load.isLateBy > Self.lateness { holds = false } }
        try await Task.sleep(for: .seconds(1))
        look()
        if isMoving {
            for direction in [TwoNodes.Direction.out, .back] {
                var moves = MoveCosts()
                try await moves.move(
                    Self.moved, direction, of: nodes, budget: .milliseconds(1), in: stretches)
                if moves.blackouts.contains(where: { $0 > Self.lateness }) { holds = false }
                look()
            }
        }
        watching.cancel()
        _ = try running.finish()
        return holds
    }
}
