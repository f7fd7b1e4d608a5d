import Foundation

/// Maps latencies to heights, each power of ten the same distance.
struct LogScale {
    /// The latency at the bottom, in nanoseconds: a power of ten.
    let lowest: Double
    /// The latency at the top, in nanoseconds: a power of ten.
    let highest: Double
    /// The height at the bottom, in the drawing's units, counted downwards.
    let bottom: Double
    /// The height at the top.
    let top: Double

    /// Creates a scale that holds all `latencies` between whole powers of ten.
    init(latencies: [UInt64], bottom: Double, top: Double) {
        let longest = max(Double(latencies.max() ?? 0), 1_000)
        lowest = 100
        highest = pow(10, log10(longest).rounded(.up))
        self.bottom = bottom
        self.top = top
    }

    /// The height of a latency.
    func height(_ nanoseconds: Double) -> Double {
        let share = log10(max(nanoseconds, lowest) / lowest) / log10(highest / lowest)
        return bottom - share * (bottom - top)
    }

    /// The powers of ten to draw a line at.
    var ticks: [UInt64] {
        var ticks: [UInt64] = []
        var tick = lowest
        while tick <= highest * 1.001 {
            ticks.append(UInt64(tick.rounded()))
            tick *= 10
        }
        return ticks
    }

    /// Lines across the drawing, with a latency at the left as often as there is room for one.
    func grid(from left: Double, to right: Double) -> String {
        // Labels less than 20 units apart would run into each other.
        let distance = (bottom - top) / Double(max(ticks.count - 1, 1))
        let step = max(1, Int((20 / distance).rounded(.up)))
        return ticks.enumerated().map { index, tick in
            let y = height(Double(tick)).fixed(1)
            return """
                <line class="grid" x1="\(left.fixed(1))" y1="\(y)" x2="\(right.fixed(1))" y2="\(y)"/>
                \(index % step == 0 ? label(tick, left - 8) : "")
                """
        }
        .joined()
    }

    private func label(_ tick: UInt64, _ right: Double) -> String {
        """
        <text class="tick" x="\(right.fixed(1))" y="\(height(Double(tick)).fixed(1))" dy="0.32em" \
        text-anchor="end">\(Self.label(tick))</text>

        """
    }

    /// A power of ten in its shortest form: `10 µs`, not `10.0 µs`.
    private static func label(_ nanoseconds: UInt64) -> String {
        if nanoseconds < 1_000 { return "\(nanoseconds) ns" }
        if nanoseconds < 1_000_000 { return "\(nanoseconds / 1_000) µs" }
        if nanoseconds < 1_000_000_000 { return "\(nanoseconds / 1_000_000) ms" }
        return "\(nanoseconds / 1_000_000_000) s"
    }
}
