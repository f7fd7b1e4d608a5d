import CMachine
import Caesura
import Histogram

/// `latency`: a writer's latency, open loop, without and during checkpoints.
enum LatencyBenchmark {
    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let bigValues = try options.int("big-values", default: 0)
        let interval = UInt64(1_000_000_000 / (try options.int("rate", default: 200_000)))
        let duration = UInt64(try options.int("milliseconds", default: 2_000)) * 1_000_000

        let table = try CaesuraTable()
        _ = table.fill(rows: rows)
        let big = try table.store.table("big", key: UInt64.self, row: BigValue.self)
        for id in 0..<UInt64(bigValues) {
            big[id] = BigValue(number: 0, content: bigContent(seed: id))
        }
        let scale = short(rows) + (bigValues > 0 ? " + \(bigValues) x 10 MB" : "")
        let metric = bigValues > 0 ? "writer latency with 10 MB values" : "writer latency"
        let tokens = (0..<1024).map { Session.token(UInt64($0) &* 0x1234_5678_9ABC_DEF1) }

        /// One scenario: the writer on core 0, what goes on beside it on core 1.
        ///
        /// Without checkpoints that is a thread that spins: a virtual machine whose cores are both busy is
        /// interrupted by its host for longer than one that is half idle.
        func measure(_ subject: String, writing: Bool, checkpoints: Bool) throws {
            let stop = Flag()
            let beside = Worker(core: 1) {
                if checkpoints { return Checkpoints.run(table.store, until: stop) }
                while !stop.isSet {}
                return 0
            }
            let writer = Worker(core: 0) {
                var random = RandomRows(rows: rows)
                return OpenLoop.run(interval: interval, duration: duration) { k in
                    let row = random.next()
                    guard writing else { return }
                    if bigValues > 0, k % 1000 == 999 {
                        big.update(UInt64(row % bigValues)) { $0.number &+= 1 }
                    } else if k % 10 == 9 {
                        table.replaceToken(Session.id(row), tokens[row & 1023])
                    } else {
                        table.addVisit(Session.id(row))
                    }
                }
            }
            let histogram = writer.wait()
            stop.set()
            let taken = beside.wait()
            OpenLoop.report(metric, subject, scale, histogram)
            if checkpoints {
                Result("\(metric), cuts meanwhile", subject, scale, "cuts", Double(taken)).print()
            }
        }

        // Cold comes first: afterwards the page pool has what earlier checkpoints gave back.
        try measure("floor", writing: false, checkpoints: false)
        try measure("checkpoint, cold", writing: true, checkpoints: true)
        try measure(Target.idle, writing: true, checkpoints: false)
        try measure("checkpoint", writing: true, checkpoints: true)
    }

    /// 10 MB that no compressor or coding shrinks.
    private static func bigContent(seed: UInt64) -> [UInt8] {
        var state = seed &+ 0x9E37_79B9_7F4A_7C15
        return (0..<10_000_000).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state)
        }
    }
}
