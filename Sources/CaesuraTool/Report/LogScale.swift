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

    /// Lines across the drawing, each with its latency at the left.
    func grid(from left: Double, to right: Double) -> String {
        ticks.map { tick in
            let y = height(Double(tick)).fixed(1)
            return """
                <line class="grid" x1="\(left.fixed(1))" y1="\(y)" x2="\(right.fixed(1))" y2="\(y)"/>
                <text class="tick" x="\((left - 8).fixed(1))" y="\(y)" dy="0.32em" text-anchor="end">\
                \(Self.label(tick))</text>

                """
        }
        .joined()
    }

    /// A power of ten in its shortest form: `10 µs`, not `10.0 µs`.
    private static func label(_ nanoseconds: UInt64) -> String {
        if nanoseconds < 1_000 { return "\(nanoseconds) ns" }
        if nanoseconds < 1_000_000 { return "\(nanoseconds / 1_000) µs" }
        if nanoseconds < 1_000_000_000 { return "\(nanoseconds / 1_000_000) ms" }
        return "\(nanoseconds / 1_000_000_000) s"
    }
}
