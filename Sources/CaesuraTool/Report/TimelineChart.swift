/// The longest wait in each window over a run, with the saves marked behind it.
struct TimelineChart {
    let run: DemoReport.Run
    /// The CSS class that gives the run its colour.
    let style: String
    /// All runs share one scale, so that heights compare.
    let longest: UInt64
    /// All runs share one width of a second.
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
        for (index, save) in run.saves.enumerated() {
            let start = across(save.start)
            let width = max(across(save.end) - start, 1.5)
            body += """
                <rect class="save" x="\(start.fixed(1))" y="\(Self.top)" \
                width="\(width.fixed(1))" height="\(Self.bottom - Self.top)">\
                <title>save \(index + 1): \(durationText(save.end - save.start))</title></rect>

                """
        }
        if let first = run.saves.first {
            body += """
                <text class="tick" x="\(across(first.start).fixed(1))" y="\(Self.top - 7)">\
                \(run.saves.count == 1 ? "save" : "\(run.saves.count) saves")</text>

                """
        }
        body += scale.grid(from: Self.left, to: Self.right)
        // A bar for each window, all in one path: from the axis up to the longest wait.
        var path = ""
        for (index, latency) in run.timeline.enumerated() where latency > 0 {
            let from = across(UInt64(index) * run.timelineWindow)
            let to = across(UInt64(index + 1) * run.timelineWindow)
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
            aria-label="Longest wait over time: \(run.name)">
            \(body)</svg>
            """
    }
}
