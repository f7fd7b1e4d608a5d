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
        let rowCounts = quick ? [("100k", 100_000)] : [("1M", 1_000_000), ("5M", 5_000_000)]
        for (scale, rows) in rowCounts {
            let large = rows > 1_000_000
            var encode: [Experiment.Run] = [
                Self.bench("encode --subject swift-protobuf --rows \(scale)")
            ]
            if !large { encode.append(Self.bench("encode --subject json --rows \(scale)")) }
            if peers {
                encode.append(
                    Experiment.Run(program: .protobuf, arguments: ["\(rows)", scale, "3"]))
                if !large { encode.append(Self.bench("redis --rows \(scale)")) }
            }
            add("encode and restore, \(scale) rows", quick ? 1 : 3, encode)
            add(
                "table, \(scale) rows", quick ? 1 : large ? 2 : 3,
                ["dictionary", "tree"].map { Self.bench("table --subject \($0) --rows \(scale)") })
        }
        for (size, cuts, forks) in quick
            ? [("10M", 50, 5)]
            : [("10M", 200, 20), ("100M", 200, 20), ("1G", 200, 20), ("4G", 200, 20)]
        {
            var runs: [Experiment.Run] = []
            if size != "4G" {
                runs.append(
                    Self.bench("pause --subject dictionary --state \(size) --forks \(forks)"))
                if peers { runs.append(Self.bench("redis --state \(size)")) }
            }
            keep(cuts)
            add("pause, \(size)B of state", 1, runs)
        }
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
