extension DemoReport {
    /// The distributions side by side, as a person reads them in a terminal.
    var text: String {
        var waits = TextTable(["wait of a write"] + Percentiles.headings)
        for run in runs {
            waits.append(["\(run.name), saving"] + run.duringSave.cells)
            waits.append(["  not saving"] + run.calm.cells)
            waits.append(["  noise floor"] + run.floor.cells)
        }
        var sizes = TextTable(["saves", "number", "longest pause", "size", "a row"])
        for run in runs {
            sizes.append([
                run.name, "\(run.pauses.count)", durationText(run.longestPause),
                byteText(run.byteCount),
                (Double(run.byteCount) / Double(Swift.max(rows, 1))).fixed(1) + " B",
            ])
        }
        var moves = TextTable(["moving to another process"] + Percentiles.headings)
        moves.append(["wait of a write, before"] + migration.before.cells)
        moves.append(["  moving"] + migration.during.cells)
        moves.append(["  after, forwarded"] + migration.after.cells)
        return waits.text + "\n" + sizes.text + "\n" + moves.text
    }
}
