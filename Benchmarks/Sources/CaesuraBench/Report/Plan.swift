/// An experiment: what is run in turns, and how often.
struct Experiment {
    /// One subject's command.
    struct Run {
        var program: Program
        var arguments: [String]

        /// The command as a reader would type it.
        var text: String { ([program.rawValue] + arguments).joined(separator: " ") }
    }

    enum Program: String {
        case bench = "caesura-bench"
        case protobuf
    }

    var name: String
    var repetitions: Int
    var runs: [Run]
}

/// Which experiments `all` runs.
struct Plan {
    var experiments: [Experiment] = []

    init(quick: Bool, peers: Bool) {
        for (scale, rows) in quick ? [("100k", 100_000)] : [("1M", 1_000_000), ("5M", 5_000_000)] {
            addTable(scale, repetitions: quick ? 1 : rows > 1_000_000 ? 2 : 3)
            addEncoding(scale, rows: rows, repetitions: quick ? 1 : 3, peers: peers)
        }
        addVersions(quick: quick)
        addDeltas(quick: quick)
        for size in quick ? ["10M"] : ["10M", "100M", "1G", "4G"] {
            addPause(size, peers: peers)
        }
        addLatency(quick: quick)
        addMigration(quick: quick, peers: peers)
    }

    private mutating func addTable(_ scale: String, repetitions: Int) {
        add(
            "table, \(scale) rows", repetitions,
            ["caesura", "dictionary", "tree", "caesura-prepared"].map {
                Self.bench("table --subject \($0) --rows \(scale)")
            })
    }

    private mutating func addEncoding(
        _ scale: String, rows: Int, repetitions: Int, peers: Bool
    ) {
        // The slow ones and those whose cost a row does not depend on the number of rows: once a run.
        let isLarge = rows > 1_000_000
        var subjects = ["caesura", "columns", "caesura-zstd"]
        if !isLarge { subjects += ["swift-protobuf", "json"] }
        var runs = subjects.map { Self.bench("encode --subject \($0) --rows \(scale)") }
        if peers {
            runs.append(
                Experiment.Run(program: .protobuf, arguments: ["\(rows)", scale, "3"]))
            if !isLarge { runs.append(Self.bench("redis --rows \(scale)")) }
        }
        add("encode and restore, \(scale) rows", repetitions, runs)
    }

    private mutating func addVersions(quick: Bool) {
        add(
            "versions", quick ? 1 : 3, [Self.bench("versions --rows \(quick ? "100k" : "1M")")])
    }

    private mutating func addDeltas(quick: Bool) {
        let rows = quick ? "100k" : "1M"
        let repetitions = quick ? 1 : 3
        add(
            "delta", repetitions,
            [Self.bench("delta --rows \(rows)"), Self.bench("delta --rows \(rows) --zipf")])
        add("chain", repetitions, [Self.bench("chain --rows \(rows)")])
        add("durable", repetitions, [Self.bench("durable")])
        let rest = " --rows \(rows)" + (quick ? " --seconds 1 --rounds 1" : "")
        add(
            "continuous checkpoints", quick ? 1 : 2,
            ["", " --zipf", " --work 1000", " --work 5000", " --work 20000", " --rate 100k"].map {
                Self.bench("continuous" + $0 + rest)
            })
    }

    private mutating func addPause(_ size: String, peers: Bool) {
        var runs = [Self.bench("pause --subject caesura --state \(size)")]
        // 4 GB of state are more than 13 GB in a Dictionary while it grows.
        if size != "4G" {
            runs.append(Self.bench("pause --subject dictionary --state \(size)"))
            if peers { runs.append(Self.bench("redis --state \(size)")) }
        }
        add("pause, \(size)B of state", 1, runs)
    }

    private mutating func addLatency(quick: Bool) {
        let rest = quick ? " --rows 100k --milliseconds 500" : ""
        add(
            "writer latency", quick ? 1 : 3,
            [
                Self.bench("latency" + rest),
                Self.bench("latency --big-values \(quick ? 4 : 16)" + rest),
            ])
    }

    private mutating func addMigration(quick: Bool, peers: Bool) {
        let rows = quick ? " --rows 200k" : ""
        let trial = quick ? " --loads 0,10k,100k --quiet 200" : ""
        var runs = ["", " --register disk", " --tls"].map {
            Self.bench("migrate" + $0 + rows + trial)
        }
        runs += [
            Self.bench("migrate --at-once --budget 20000 --loads 0,0" + rows),
            Self.bench("migrate --postcopy --loads 10k,100k" + rows),
            Self.bench("migrate-cut" + (quick ? " --rows 1M" : "")),
            Self.bench("stop-copy-start" + rows),
            Self.bench("transport --chunks \(quick ? 200 : 2_000)"),
        ]
        if peers { runs.append(Self.bench("redis-migrate --rows \(quick ? "100k" : "12048192")")) }
        add("migration", quick ? 1 : 2, runs)
    }

    private mutating func add(_ name: String, _ repetitions: Int, _ runs: [Experiment.Run]) {
        if !runs.isEmpty {
            experiments.append(Experiment(name: name, repetitions: repetitions, runs: runs))
        }
    }

    private static func bench(_ text: String) -> Experiment.Run {
        Experiment.Run(program: .bench, arguments: text.split(separator: " ").map(String.init))
    }
}
