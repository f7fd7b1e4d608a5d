extension Simulation.Plan {
    /// A run with fewer faults, and shorter, in which something is wrong as well.
    ///
    /// Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002) over the faults,
    /// after the run was cut off where it first went wrong.
    ///
    /// - Parameter isWrong: Runs a plan, and says whether something is wrong.
    /// - Precondition: In this one something is.
    /// - Complexity: O(n²) runs for n faults at worst, O(n log n) as a rule.
    public func minimized(
        _ isWrong: (Simulation.Plan) throws -> Bool
    ) rethrows -> Simulation.Plan {
        var best = self
        for factor in [0.05, 0.1, 0.2, 0.4, 0.7] {
            var shorter = self
            shorter.duration = duration * factor
            shorter.faults.removeAll { $0.time >= shorter.duration }
            if try isWrong(shorter) {
                best = shorter
                break
            }
        }
        var pieces = 2
        while best.faults.count > 1 || pieces == 2 && !best.faults.isEmpty {
            let size = max(1, (best.faults.count + pieces - 1) / pieces)
            var isSmaller = false
            for start in stride(from: 0, to: best.faults.count, by: size) {
                var fewer = best
                fewer.faults.removeSubrange(start..<min(start + size, best.faults.count))
                if try isWrong(fewer) {
                    best = fewer
                    isSmaller = true
                    break
                }
            }
            if isSmaller {
                pieces = max(2, pieces - 1)
            } else if size == 1 {
                break
            } else {
                pieces *= 2
            }
        }
        return best
    }
}
