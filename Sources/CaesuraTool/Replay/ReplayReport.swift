/// What `caesura replay routes` measured: its output and that of `--json`.
struct ReplayReport: Codable, Sendable {
    /// How the table was filled.
    var load: Load
    /// How it was kept up to date, if updates were given.
    var updates: Updates?
    /// The checkpoints, oldest first.
    var checkpoints: [Checkpoint]
    /// How many lines could not be read, by reason.
    var badLines: [String: Int]
    /// Where the checkpoints are.
    var repository: String

    /// Reading the table dumps.
    struct Load: Codable, Sendable {
        /// Lines that were read and understood.
        var lines: Int
        /// Routes in the table afterwards.
        var rows: Int
        /// How long it took, in nanoseconds.
        var time: UInt64
    }

    /// Applying the updates.
    struct Updates: Codable, Sendable {
        /// Routes set.
        var announced = 0
        /// Routes removed.
        var withdrawn = 0
        /// Withdrawals of routes that were not there.
        var absent = 0
        /// Sessions that changed their state.
        var stateChanges = 0
        /// Those of them that ended.
        var sessionsEnded = 0
        /// Routes that went with them.
        var routesEnded = 0
        /// How long it took, without reading the files, in nanoseconds.
        var time: UInt64 = 0
        /// Updates due each second, or nil where each followed the one before at once.
        var rate: Double?
        /// Latencies of updates while no checkpoint ran.
        var calm = LatencyHistogram().percentiles
        /// Latencies of updates that met a checkpoint.
        var duringCheckpoint = LatencyHistogram().percentiles
        /// What the machine did meanwhile to a thread that only watched the clock.
        var floor = LatencyHistogram().percentiles

        /// All of them.
        var count: Int { announced + withdrawn + absent + stateChanges }
        /// Updates applied in a second.
        var perSecond: Double { time > 0 ? Double(count) / Double(time) * 1e9 : 0 }

        /// Adds another stretch's counts.
        mutating func add(_ other: Updates) {
            announced += other.announced
            withdrawn += other.withdrawn
            absent += other.absent
            stateChanges += other.stateChanges
            sessionsEnded += other.sessionsEnded
            routesEnded += other.routesEnded
        }

        /// Counts one.
        mutating func record(_ effect: RoutingTable.Effect) {
            switch effect {
            case .announced: announced += 1
            case .withdrawn: withdrawn += 1
            case .absent: absent += 1
            case .stateChanged: stateChanges += 1
            case .sessionEnded(let routes):
                stateChanges += 1
                sessionsEnded += 1
                routesEnded += routes
            }
        }
    }

    /// One checkpoint.
    struct Checkpoint: Codable, Sendable {
        /// The epoch of its cut.
        var epoch: UInt64
        /// Rows in it.
        var rows: Int
        /// Rows that changed since the one before; nil if it is a full one.
        var changes: Int?
        /// How long the cut took, in nanoseconds.
        var pause: UInt64
        /// Time spent encoding, all threads together, in nanoseconds.
        var encode: UInt64
        /// From the cut until it was durable, in nanoseconds.
        var total: UInt64
        /// Bytes that it takes in files.
        var byteCount: Int
        /// Whether updates were applied meanwhile.
        var wasUnderLoad: Bool
    }
}

extension ReplayReport {
    /// What a person reads.
    var text: String {
        var text =
            "table       \(load.rows.grouped) routes from \(load.lines.grouped) lines in "
            + "\(durationText(load.time)), \(Self.rate(load.lines, load.time)) a second\n"
        if let updates {
            let kinds = [
                (updates.announced, "announced"), (updates.withdrawn, "withdrawn"),
                (updates.absent, "withdrawn but not there"),
                (updates.stateChanges, "changes of a session's state"),
            ]
            text +=
                "updates     \(updates.count.grouped) in \(durationText(updates.time)), "
                + "\(Self.rate(updates.count, updates.time)) a second: "
                + kinds.filter { $0.0 > 0 }.map { "\($0.0.grouped) \($0.1)" }.joined(
                    separator: ", ")
                + "\n"
        }
        if let updates, updates.sessionsEnded > 0 {
            text +=
                "            \(updates.sessionsEnded.grouped) sessions ended, and "
                + "\(updates.routesEnded.grouped) routes went with them\n"
        }
        if let updates, let rate = updates.rate, updates.perSecond < rate * 0.99 {
            text +=
                "            fewer than the \(Int(rate).grouped) a second that were due, so the waits below are "
                + "those of a queue\n"
        }
        text += "repository  \(repository)    look: caesura inspect \(repository)\n\n"
        text += checkpointTable
        if let updates { text += "\n" + Self.latencyTable(updates) }
        return text
    }

    private var checkpointTable: String {
        var table = TextTable([
            "checkpoint", "rows", "changed", "pause", "encode", "in all", "size", "a changed row",
            "updates meanwhile",
        ])
        for checkpoint in checkpoints {
            // Of a full one, all rows count as changed.
            let changed = checkpoint.changes ?? checkpoint.rows
            let perRow = Double(checkpoint.byteCount) / Double(max(changed, 1))
            table.append([
                "epoch \(checkpoint.epoch)", checkpoint.rows.grouped,
                checkpoint.changes.map(\.grouped) ?? "all", durationText(checkpoint.pause),
                durationText(checkpoint.encode),
                durationText(checkpoint.total), byteText(checkpoint.byteCount),
                perRow.fixed(1) + " B", checkpoint.wasUnderLoad ? "yes" : "no",
            ])
        }
        return table.text
    }

    private static func latencyTable(_ updates: Updates) -> String {
        let title = updates.rate == nil ? "time of an update" : "wait of an update"
        var table = TextTable([title] + Percentiles.headings)
        table.append(["no checkpoint"] + updates.calm.cells)
        table.append(["checkpoint running"] + updates.duringCheckpoint.cells)
        table.append(["noise floor"] + updates.floor.cells)
        return table.text
    }

    private static func rate(_ count: Int, _ time: UInt64) -> String {
        Int(Double(count) / Double(max(time, 1)) * 1e9).grouped
    }
}
