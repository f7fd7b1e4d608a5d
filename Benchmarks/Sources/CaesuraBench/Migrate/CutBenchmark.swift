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
        async let moved = nodes.move(partition, .out, budget: .milliseconds(100))
        var pause: UInt64 = 0
        if let bytes {
            // What was applied of the move before is not.
            let began = now()
            let last = try await sighting(at: relay) {
                $0.time > began && ($0.message.round > 1 || $0.message.bytes >= bytes)
            }
            guard last.message.round == 1 else {
                throw Failure("the move was over before it was cut")
            }
            let cut = relay.cut()
            let next = try await sighting(at: relay) { next in
                next.connection > last.connection
                    && (next.message.round > 1 || next.message.bytes > last.message.bytes)
            }
            pause = next.time - cut
        }
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

    /// Waits for the relay to see that something was applied.
    private static func sighting(
        at relay: Relay, where isEnough: (Relay.Sighting) -> Bool
    ) async throws -> Relay.Sighting {
        let start = now()
        while now() - start < 60_000_000_000 {
            if let sighting = relay.log.applied, isEnough(sighting) { return sighting }
            try await Task.sleep(for: .microseconds(50))
        }
        throw Failure("nothing is applied for a minute")
    }
}
