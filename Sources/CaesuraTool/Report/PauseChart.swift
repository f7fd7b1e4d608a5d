import Foundation

/// The distributions of how long writes wait, side by side: the share of writes across, the wait upwards.
///
/// Each further nine takes the same room, so that the rare long waits, which are the ones people notice, fill
/// the chart instead of its last pixel.
struct PauseChart {
    let report: DemoReport

    private static let width = 960.0
    private static let height = 400.0
    private static let left = 76.0
    private static let right = 800.0
    private static let top = 18.0
    private static let bottom = 352.0
    private static let marks: [(percent: Double, label: String)] = [
        (0, "all"), (90, "1 in 10"), (99, "1 in 100"), (99.9, "1 in 1,000"),
        (99.99, "1 in 10,000"), (99.999, "1 in 100,000"), (99.9999, "1 in a million"),
    ]

    /// The chart as an SVG element.
    var svg: String {
        let curves = report.runs.map(\.curve) + [report.runs.last?.floorCurve ?? []]
        let scale = LogScale(
            latencies: curves.flatMap { $0.map(\.latency) }, bottom: Self.bottom, top: Self.top)
        let nines =
            curves.flatMap { $0 }.map { Self.nines($0.percent) }.filter(\.isFinite).max() ?? 1
        func across(_ percent: Double) -> Double {
            // The longest of all has no more nines than there were writes to count.
            let share = min(Self.nines(percent), nines) / nines
            return Self.left + share * (Self.right - Self.left)
        }
        var body = scale.grid(from: Self.left, to: Self.right)
        for mark in Self.marks where Self.nines(mark.percent) <= nines + 0.01 {
            let x = across(mark.percent).fixed(1)
            body += """
                <line class="grid" x1="\(x)" y1="\(Self.top)" x2="\(x)" y2="\(Self.bottom)"/>
                <text class="tick" x="\(x)" y="\(Self.bottom + 20)" text-anchor="middle">\
                \(mark.label)</text>

                """
        }
        body += """
            <text class="axis" x="\((Self.left + Self.right) / 2)" y="\(Self.bottom + 42)" \
            text-anchor="middle">so many writes wait at least…</text>

            """
        let classes = ReportPage.styles.prefix(report.runs.count) + ["floor"]
        let names = report.runs.map(\.name) + ["noise floor"]
        var labels: [(y: Double, text: String)] = []
        for (index, curve) in curves.enumerated() where !curve.isEmpty {
            let points = curve.map {
                "\(across($0.percent).fixed(1)),\(scale.height(Double($0.latency)).fixed(1))"
            }
            body += """
                <polyline class="line \(classes[index])" points="\(points.joined(separator: " "))">\
                <title>\(names[index])</title></polyline>

                """
            let longest = curve[curve.count - 1].latency
            let y = scale.height(Double(longest))
            body += """
                <circle class="dot \(classes[index])" cx="\(Self.right)" cy="\(y.fixed(1))" r="4"/>

                """
            labels.append(
                (
                    y,
                    """
                    <tspan class="label \(classes[index])">\(names[index])</tspan>\
                    <tspan class="labelvalue" x="\(Self.right + 14)" dy="1.25em">\
                    \(durationText(longest)) at most</tspan>
                    """
                ))
        }
        body += Self.spread(labels)
        return """
            <svg viewBox="0 0 \(Self.width) \(Self.height)" role="img" \
            aria-label="How long writes wait while a save runs">
            \(body)</svg>
            """
    }

    /// Puts labels at their heights, moved apart where they would cover each other.
    private static func spread(_ labels: [(y: Double, text: String)]) -> String {
        let distance = 38.0
        var text = ""
        var floor = -Double.infinity
        let sorted = labels.sorted { $0.y < $1.y }
        // Room is taken downwards, so the last must not run out of the drawing.
        let overflow = max(0, (sorted.last?.y ?? 0) + 22 - (height - 40))
        for label in sorted {
            let y = max(label.y - overflow, floor + distance)
            floor = y
            text += "<text x=\"\(right + 14)\" y=\"\(y.fixed(1))\">\(label.text)</text>\n"
        }
        return text
    }

    /// 90 % is one nine, 99 % two; infinite for 100 %.
    private static func nines(_ percent: Double) -> Double { -log10(1 - percent / 100) }
}
