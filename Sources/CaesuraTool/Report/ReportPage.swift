/// `report.html`: one file without scripts, fonts or anything else from elsewhere.
struct ReportPage {
    let report: DemoReport

    /// The page.
    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Caesura: how long a write waits during a save</title>
        <style>
        \(Self.css)
        </style>
        </head>
        <body>
        <main>
        <h1>How long a write waits while \(rows) sessions are saved</h1>
        <p class="lead">The same service under the same load, \
        \(report.writesPerSecond.grouped) writes a second, saved in three ways.</p>
        <div class="cards">
        \(report.runs.enumerated().map { card($1, Self.styles[$0]) }.joined(separator: "\n"))
        </div>
        <h2>Waits of the writes that met a save</h2>
        <p>Log scale: each line upwards is ten times as long, each line to the right ten times as rare. \
        The noise floor is what the machine does to the same thread while it only watches the clock and nothing \
        is saved. While a save runs, its threads share the processors with the writers: what the scheduler does to \
        a write then is in the three lines, not in the noise floor.</p>
        \(PauseChart(report: report).svg)
        <h2>The longest wait, moment by moment</h2>
        \(timelines)
        <h2>The same sessions move to another process</h2>
        <p>\(report.migration.partitions) partitions, \(byteText(report.migration.byteCount)) in \
        \(durationText(report.migration.duration)), over a connection; writes go on meanwhile. A partition’s writes stopped for \
        \(durationText(report.migration.longestBlackout)) at most; they waited, and went on in the other process. From then on \
        each write is forwarded there and answered from there: \(report.migration.forwarded.grouped) of them.</p>
        \(migrationTimeline)
        \(migrationTable)
        <h2>The figures</h2>
        \(table)
        <p class="note">Latency is measured from the moment a write was due, so a write that had to queue behind a \
        pause counts with all its waiting. \(report.cores) cores; all runs in one process, one after the other, but for the second \
        process of the move. \
        <code>caesura demo</code> makes this page anew.</p>
        </main>
        </body>
        </html>

        """
    }

    /// The runs' colours, as the style sheet names them.
    static let styles = ["before", "copy", "after"]

    private var rows: String {
        report.rows == 1_000_000 ? "a million" : report.rows.grouped
    }

    private func card(_ run: DemoReport.Run, _ style: String) -> String {
        """
        <section class="card \(style)">
        <h3>\(run.name)</h3>
        <p class="figure">\(durationText(run.duringSave.p100))</p>
        <p class="caption">longest wait of a write; the median is \(durationText(run.duringSave.p50))</p>
        <p>\(run.explanation) \(run.pauses.count == 1 ? "The" : "The longest") pause itself: \
        \(durationText(run.longestPause)). The machine’s own noise: up to \
        \(durationText(run.floor.p100)).</p>
        </section>
        """
    }

    private var timelines: String {
        let longest = report.runs.flatMap(\.timeline).max() ?? 0
        let duration = report.runs.map { UInt64($0.timeline.count) * $0.timelineWindow }.max() ?? 1
        return report.runs.enumerated().map { index, run in
            let chart = TimelineChart(
                name: run.name, timeline: run.timeline, window: run.timelineWindow,
                spans: run.saves, noun: "save", style: Self.styles[index], longest: longest,
                duration: max(duration, 1))
            return """
                <h3 class="\(Self.styles[index])">\(run.name)</h3>
                \(chart.svg)
                """
        }
        .joined(separator: "\n")
    }

    private var migrationTimeline: String {
        let migration = report.migration
        return TimelineChart(
            name: "Caesura, moving", timeline: migration.timeline,
            window: migration.timelineWindow, spans: [migration.moving], noun: "moving",
            style: "after", longest: migration.timeline.max() ?? 0,
            duration: max(UInt64(migration.timeline.count) * migration.timelineWindow, 1)
        ).svg
    }

    private var migrationTable: String {
        let rows = [
            ("before", report.migration.before), ("moving", report.migration.during),
            ("after, in the other process", report.migration.after),
        ].map { name, percentiles in
            "<tr><th>\(name)</th>" + percentiles.cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        let headings = Percentiles.headings.map { "<th>\($0)</th>" }.joined()
        return """
            <div class="scroll"><table>
            <thead><tr><th>wait of a write</th>\(headings)</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table></div>
            """
    }

    private var table: String {
        let headings = Percentiles.headings.map { "<th>\($0)</th>" }.joined()
        func row(_ name: String, _ percentiles: Percentiles, _ style: String = "") -> String {
            let cells = percentiles.cells.map { "<td>\($0)</td>" }.joined()
            return "<tr class=\"\(style)\"><th>\(name)</th>\(cells)</tr>\n"
        }
        var body = ""
        for (index, run) in report.runs.enumerated() {
            body += row("\(run.name), saving", run.duringSave, Self.styles[index])
            body += row("\(run.name), not saving", run.calm)
            body += row("noise floor", run.floor, "quiet")
        }
        var saves = ""
        for (index, run) in report.runs.enumerated() {
            saves += """
                <tr class="\(Self.styles[index])"><th>\(run.name)</th>\
                <td>\(run.pauses.count)</td><td>\(durationText(run.longestPause))</td>\
                <td>\(byteText(run.byteCount))</td>\
                <td>\((Double(run.byteCount) / Double(max(report.rows, 1))).fixed(1)) B</td></tr>

                """
        }
        return """
            <div class="scroll"><table>
            <thead><tr><th>wait of a write</th>\(headings)</tr></thead>
            <tbody>
            \(body)</tbody>
            </table></div>
            <div class="scroll"><table>
            <thead><tr><th>saves</th><th>number</th><th>longest pause</th><th>size</th>\
            <th>a row</th></tr></thead>
            <tbody>
            \(saves)</tbody>
            </table></div>
            """
    }

    private static let css = """
        :root { color-scheme: light dark; --page: #fbfaf8; --ink: #1d2126; --soft: #68707a;
          --rule: #e3e0da; --panel: #ffffff; --before: #c4511d; --copy: #8252b8; --after: #0f7285; --floor: #8b929b;
          --save: rgba(90, 100, 115, 0.11); }
        @media (prefers-color-scheme: dark) {
          :root { --page: #14171a; --ink: #e8eaec; --soft: #9aa3ad; --rule: #2b3036;
            --panel: #1b1f23; --before: #f0894f; --copy: #bd9bea; --after: #4cc0d4; --floor: #7d858f;
            --save: rgba(190, 205, 225, 0.12); } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink);
          font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
        main { max-width: 1020px; margin: 0 auto; padding: 40px 24px 56px; }
        h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
        h2 { font-size: 20px; margin: 44px 0 4px; }
        h3 { font-size: 15px; margin: 18px 0 2px; }
        p { margin: 0 0 12px; }
        .lead, .note, h2 + p { color: var(--soft); }
        .note { font-size: 14px; margin-top: 20px; }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 16px;
          margin-top: 22px; }
        .card { background: var(--panel); border: 1px solid var(--rule); border-radius: 10px;
          border-top: 4px solid currentColor; padding: 16px 22px 8px; }
        .card h3 { margin: 0; }
        .card p { color: var(--soft); font-size: 15px; }
        .card .figure { color: inherit; font-size: 52px; line-height: 1.15; font-weight: 650; margin: 2px 0 0;
          letter-spacing: -0.02em; }
        .card .caption { color: var(--ink); margin-bottom: 10px; }
        .before { color: var(--before); } .copy { color: var(--copy); } .after { color: var(--after); } .floor { color: var(--floor); }
        svg { display: block; width: 100%; height: auto; font-size: 13px; }
        svg text { fill: var(--soft); }
        .grid { stroke: var(--rule); stroke-width: 1; }
        .line { fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linejoin: round; }
        .line.floor { stroke-width: 1.75; stroke-dasharray: 5 4; }
        .dot { fill: currentColor; }
        .area { fill: currentColor; fill-opacity: 0.82; }
        .save { fill: var(--save); }
        .label { fill: currentColor; font-weight: 600; font-size: 14px; }
        .labelvalue { fill: var(--soft); }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; margin: 8px 0 20px; font-size: 14px;
          font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--rule);
          font-weight: 400; white-space: nowrap; }
        thead th { color: var(--soft); }
        th:first-child { text-align: left; padding-left: 0; }
        tr.before th, tr.copy th, tr.after th { font-weight: 600; }
        tr.quiet { color: var(--soft); }
        tbody tr.before td, tbody tr.copy td, tbody tr.after td { color: var(--ink); }
        code { font-size: 0.95em; }
        """
}
