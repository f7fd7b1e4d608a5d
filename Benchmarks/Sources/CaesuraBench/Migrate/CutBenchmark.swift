import CaesuraMigration

/// `migrate-cut`: the connection over which a partition moves is cut, and the move goes on over another one.
enum CutBenchmark {
    static func run(_ options: Options) async throws {
        let rows = try options.int("rows", default: 12_048_192)
        let cuts = try options.int("cuts", default: 10)
        let owners = try ScratchDirectory(in: "/dev/shm")
        let relay = try Relay()
        let setting = NodeSetting(rows: rows, owners: owners.path, papers: nil)
        let nodes = try await TwoNodes(setting, relay: relay.address)
        guard let other = NetworkAddress(nodes.other.address) else {
            throw Failure("node b listens at \(nodes.other.address)")
        }
        relay.pass(to: other.port)
        try await nodes.run {
            let scale = "a partition of \(short(rows / NodeSetting.partitions)) rows"
            let whole = try await moveOut(nodes, relay, cutAt: nil)
            var taken: [Taken] = []
            for cut in 0..<cuts {
                // From a tenth to nine tenths of its bytes.
                let share = 0.1 + 0.8 * Double(cut) / Double(max(1, cuts - 1))
                taken.append(
                    try await moveOut(
                        nodes, relay, cutAt: UInt64(share * Double(whole.sentBytes))))
            }
            reportPercentiles(
                "migration: from a cut connection until it goes on", Target.subject, scale,
                taken.map(\.pause))
            func ratio(_ subject: String, _ value: (Taken) -> Double) {
                let values = taken.map(value).sorted()
                Result(
                    "migration: bytes sent over those without a cut", subject, scale, "x",
                    values[values.count / 2]
                ).print()
            }
            ratio(Target.subject) { Double($0.sentBytes) / Double(whole.sentBytes) }
            ratio("\(Target.subject), past the relay") {
                Double($0.relayedBytes) / Double(whole.relayedBytes)
            }
            try nodes.check()
        }
        relay.end()
        withExtendedLifetime(owners) {}
    }

    /// What a move has taken.
    private struct Taken {
        var sentBytes: UInt64
        var relayedBytes: Int
        /// From the cut until the target has applied more than before.
        var pause: UInt64 = 0
    }

    /// Moves the first partition to b, and cuts the connection when so many bytes are applied; then back.
    private static func moveOut(
        _ nodes: TwoNodes, _ relay: Relay, cutAt bytes: UInt64?
    ) async throws -> Taken {
        let partition = SessionNode.partition(0)
        let before = relay.log
        if let bytes { relay.cut(after: bytes) }
        async let moved = nodes.move(partition, .out, budget: .milliseconds(100))
        var pause: UInt64 = 0
        if bytes != nil { pause = try await sinceCut(relay) }
        let end = try await moved
        guard case .moved = end.outcome else { throw Failure("a move has ended: \(end.outcome)") }
        let taken = Taken(
            sentBytes: end.cost.sentBytes, relayedBytes: relay.log.bytes - before.bytes,
            pause: pause)
        let back = try await nodes.move(partition, .back, budget: .milliseconds(100))
        guard case .moved = back.outcome else {
            throw Failure("a move has ended: \(back.outcome)")
        }
        return taken
    }

    /// The time from when the connections were cut until more is applied than was before; waits for it.
    private static func sinceCut(_ relay: Relay) async throws -> UInt64 {
        let start = now()
        while now() - start < 60_000_000_000 {
            let log = relay.log
            if let cut = log.cut, let last = log.applied,
                last.connection > cut.after.connection,
                last.message.round > 1 || last.message.bytes > cut.after.message.bytes
            {
                return last.time - cut.time
            }
            try await Task.sleep(for: .microseconds(20))
        }
        throw Failure("nothing was applied for a minute")
    }
}
