/// The longest wait in each window over a run, with what went on meanwhile marked behind it.
struct TimelineChart {
    /// Whose waits they are.
    let name: String
    /// The longest latency in each window, in nanoseconds.
    let timeline: [UInt64]
    /// How long a window is, in nanoseconds.
    let window: UInt64
    /// What went on, such as saves.
    let spans: [DemoReport.Span]
    /// What one of them is called.
    let noun: String
    /// The CSS class that gives the run its colour.
    let style: String
    /// Runs that are compared share one scale, so that heights compare.
    let longest: UInt64
    /// And one width of a second.
    let duration: UInt64

    private static let width = 960.0
    private static let height = 190.0
    private static let left = 76.0
    private static let right = 944.0
    private static let top = 22.0
    private static let bottom = 158.0

    /// The chart as an SVG element.
    var svg: String {
        let scale = LogScale(latencies: [longest], bottom: Self.bottom, top: Self.top)
        func across(_ time: UInt64) -> Double {
            Self.left + Double(min(time, duration)) / Double(duration) * (Self.right - Self.left)
        }
        var body = ""
        for (index, span) in spans.enumerated() {
            let start = across(span.start)
            let width = max(across(span.end) - start, 1.5)
            body += """
                <rect class="save" x="\(start.fixed(1))" y="\(Self.top)" \
                width="\(width.fixed(1))" height="\(Self.bottom - Self.top)">\
                <title>\(noun) \(index + 1): \(durationText(span.end - span.start))</title></rect>

                """
        }
        if let first = spans.first {
            body += """
                <text class="tick" x="\(across(first.start).fixed(1))" y="\(Self.top - 7)">\
                \(spans.count == 1 ? noun : "\(spans.count) \(noun)s")</text>

                """
        }
        body += scale.grid(from: Self.left, to: Self.right)
        // A bar for each window, all in one path: from the axis up to the longest wait.
        var path = ""
        for (index, latency) in timeline.enumerated() where latency > 0 {
            let from = across(UInt64(index) * window)
            let to = across(UInt64(index + 1) * window)
            let y = scale.height(Double(latency)).fixed(1)
            path += "M\(from.fixed(1)) \(Self.bottom)V\(y)H\(to.fixed(1))V\(Self.bottom)Z"
        }
        body += "<path class=\"area \(style)\" d=\"\(path)\"/>\n"
        let seconds = Int(duration / 1_000_000_000)
        let step = max(1, seconds / 8)
        for second in stride(from: 0, through: seconds, by: step) {
            let x = across(UInt64(second) * 1_000_000_000).fixed(1)
            body += """
                <text class="tick" x="\(x)" y="\(Self.bottom + 20)" text-anchor="middle">\
                \(second) s</text>

                """
        }
        return """
            <svg viewBox="0 0 \(Self.width) \(Self.height)" role="img" \
            aria-label="Longest wait over time: \(name)">
            \(body)</svg>
            """
    }
}
