import CaesuraFormat
import Testing

@testable import CaesuraMigration

/// Two sides before moves: `docs/MIGRATION.md` section 4, "The handshake".
@Suite struct HandshakeTests {
    static let offer = SchemaOffer(of: [SchemaNegotiationTests.region(1, [user])])
    static let user = SchemaNegotiationTests.user

    static func hello(_ node: String, _ change: (inout Hello) -> Void = { _ in }) -> Hello {
        var hello = Hello(
            node: node, hashKey0: 1, hashKey1: 2, takesHashKey: false, moveBits: 4, partitionBits: 6
        )
        change(&hello)
        return hello
    }

    /// Lets both sides talk over frames, and gives what each came to.
    static func run(
        _ source: Handshake, _ target: Handshake
    ) throws -> (source: Handshake.State, target: Handshake.State) {
        var machines = [source, target]
        var inboxes = [[target.firstMessage], [source.firstMessage]]
        while let side = inboxes.firstIndex(where: { !$0.isEmpty }) {
            var writer = ByteWriter()
            inboxes[side].removeFirst().encode(about: 0, into: &writer)
            var reader = FrameReader()
            var bytes = unsafe writer.bytes
            let (move, message) = try #require(unsafe try reader.next(from: &bytes))
            #expect(move == 0)
            inboxes[1 - side] += machines[side].handle(.received(message))
        }
        return (machines[0].state, machines[1].state)
    }

    static func run(
        _ source: Hello, _ target: Hello, offers: (SchemaOffer, SchemaOffer) = (offer, offer),
        sourceExpects: Set<String>? = nil, targetExpects: Set<String>? = nil
    ) throws -> (source: Handshake.State, target: Handshake.State) {
        try run(
            Handshake(as: .source, source, offering: offers.0, expecting: sourceExpects),
            Handshake(as: .target, target, offering: offers.1, expecting: targetExpects))
    }

    static func agreement(_ state: Handshake.State) -> Handshake.Agreement? {
        if case .agreed(let agreement) = state { agreement } else { nil }
    }

    static func problem(_ state: Handshake.State) -> MigrationProblem? {
        if case .refused(let problem) = state { problem } else { nil }
    }

    @Test func `nodes that go together agree, and know each other`() throws {
        let (a, b) = (Self.hello("a"), Self.hello("b"))
        let states = try Self.run(a, b, sourceExpects: ["b"], targetExpects: ["a", "c"])
        let (source, target) = (
            try #require(Self.agreement(states.source)), try #require(Self.agreement(states.target))
        )
        #expect(source.peer == b && target.peer == a)
        #expect(source.version == 1 && target.version == 1)
        #expect(source.schemas == target.schemas)
        #expect(source.schemas.unchanged == ["sessions"])
        #expect(source.hashKey == nil && target.hashKey == nil)
    }

    @Test func `regions that the target stores otherwise are not compared`() throws {
        let newer = SchemaOffer(
            of: [SchemaNegotiationTests.region(2, [Self.user, SchemaNegotiationTests.note])])
        let states = try Self.run(
            Self.hello("a"), Self.hello("b"), offers: (Self.offer, newer))
        #expect(try #require(Self.agreement(states.source)).schemas.unchanged.isEmpty)
        #expect(try #require(Self.agreement(states.target)).schemas.unchanged.isEmpty)
    }

    @Test func `the highest version that both speak counts`() throws {
        for (own, other, common) in [
            (1...3, 2...5, 3), (2...5, 1...3, 3), (1...9, 4...4, 4), (1...2, 3...4, nil),
            (3...4, 1...2, nil),
        ] as [(ClosedRange<UInt16>, ClosedRange<UInt16>, UInt16?)] {
            let states = try Self.run(
                Self.hello("a") { $0.versions = own }, Self.hello("b") { $0.versions = other })
            #expect(Self.agreement(states.source)?.version == common)
            #expect(Self.agreement(states.target)?.version == common)
            if common == nil {
                #expect(Self.problem(states.source)?.code == .unsupported)
                #expect(Self.problem(states.target)?.code == .unsupported)
            }
        }
    }

    @Test func `a target without rows takes the source's hash key over, and nobody else does`()
        throws
    {
        let other = Self.hello("b") {
            $0.hashKey0 = 7
            $0.takesHashKey = true
        }
        let states = try Self.run(Self.hello("a"), other)
        #expect(Self.agreement(states.source)?.hashKey == nil)
        let taken = try #require(Self.agreement(states.target)?.hashKey)
        #expect((taken.k0, taken.k1) == (1, 2))
        // A source without rows has none to give, and its key says nothing.
        let backwards = try Self.run(other, Self.hello("a"))
        #expect(Self.problem(backwards.source)?.code == .mismatch)
        #expect(Self.problem(backwards.target)?.code == .mismatch)
    }

    @Test func `what does not go together is refused on both sides, with a sentence`() throws {
        let a = Self.hello("a")
        let wide = SchemaOffer(
            of: [
                SchemaNegotiationTests.region(
                    2, [Field(number: 1, name: "user", type: .string)])
            ])
        let cases:
            [(
                what: String, states: (source: Handshake.State, target: Handshake.State),
                sentence: String
            )] = [
                ("name", try Self.run(a, Self.hello("a")), "a name of its own"),
                ("dialled", try Self.run(a, Self.hello("b"), sourceExpects: ["c"]), "was to be c"),
                (
                    "certificate", try Self.run(a, Self.hello("b"), targetExpects: ["x", "y"]),
                    "called a, and was to be x, y"
                ),
                (
                    "window", try Self.run(a, Self.hello("b") { $0.window = 0 }),
                    "node b takes 0 bytes at once"
                ),
                (
                    "body", try Self.run(a, Self.hello("b") { $0.bodyLimit = 1_000 }),
                    "of at most 1000 in a message"
                ),
                (
                    "b", try Self.run(a, Self.hello("b") { $0.moveBits = 5 }),
                    "2^4 partitions that move, and b 2^5"
                ),
                (
                    "hash key", try Self.run(a, Self.hello("b") { $0.hashKey1 = 3 }),
                    "configure all nodes with one"
                ),
                ("schemas", try Self.run(a, Self.hello("b"), offers: (Self.offer, wide)), "user"),
            ]
        for (what, states, sentence) in cases {
            for state in [states.source, states.target] {
                let problem = try #require(Self.problem(state), "\(what) is refused")
                #expect(problem.code == .mismatch, "\(what)")
                #expect(problem.message.contains(sentence), "\(what): \(problem.message)")
            }
        }
    }

    // MARK: States and messages

    /// A machine of the target in each state, by the messages that bring it there.
    static func machines() throws -> [(name: String, machine: Handshake)] {
        var machine = Handshake(as: .target, hello("b"), offering: offer)
        var machines = [("greeting", machine)]
        _ = machine.handle(.received(.hello(hello("a"))))
        machines.append(("negotiating", machine))
        let answer = machine.handle(.received(.schemas(.offer(offer))))
        machines.append(("negotiating, offered", machine))
        guard case .schemas(.acceptance(let digest))? = answer.first else {
            Issue.record("no acceptance: \(answer)")
            return []
        }
        _ = machine.handle(.received(.schemas(.acceptance(digest: digest))))
        machines.append(("agreed", machine))
        _ = machine.handle(.received(.hello(hello("a"))))
        machines.append(("refused", machine))
        return machines
    }

    @Test func `every message in every state is taken, or refused as malformed`() throws {
        let acceptance = MigrationMessage.schemas(.acceptance(digest: 1))
        let taken: [String: Set<String>] = [
            "greeting": ["a hello"],
            "negotiating": [MigrationMessage.schemas(.offer(Self.offer)).name],
            "negotiating, offered": [acceptance.name, MigrationMessage.schemas(.refusal([])).name],
        ]
        let messages =
            MigrationMessageTests.golden.map(\.message) + [
                .schemas(.offer(Self.offer)), .schemas(.refusal([])), acceptance,
            ]
        for (name, machine) in try Self.machines() {
            for message in messages {
                var machine = machine
                let before = machine.state
                let answer = machine.handle(.received(message))
                let context: Comment = "\(message.name) in \(name)"
                if name == "refused" {
                    #expect(machine.state == before && answer.isEmpty, context)
                    continue
                }
                switch message {
                case .ping(let number):
                    #expect(machine.state == before && answer == [.pong(number)], context)
                case .pong: #expect(machine.state == before && answer.isEmpty, context)
                case .refusal(let problem):
                    #expect(machine.state == .refused(problem) && answer.isEmpty, context)
                case _ where taken[name]?.contains(message.name) == true:
                    #expect(Self.problem(machine.state)?.code != .malformed, context)
                default:
                    let problem = try #require(Self.problem(machine.state), context)
                    #expect(problem.code == .malformed, context)
                    #expect(answer == [.refusal(problem)], context)
                }
            }
        }
    }

    @Test func `a handshake that takes too long is refused, and one that is over is not`() throws {
        for (name, machine) in try Self.machines() {
            var machine = machine
            let before = machine.state
            let answer = machine.handle(.timedOut)
            if name.hasPrefix("greeting") || name.hasPrefix("negotiating") {
                #expect(Self.problem(machine.state)?.code == .timedOut)
                #expect(answer.count == 1)
            } else {
                #expect(machine.state == before && answer.isEmpty)
            }
        }
    }

    @Test func `acceptances of something else are refused`() throws {
        let offered = try Self.machines()[2].machine
        var machine = offered
        _ = machine.handle(.received(.schemas(.acceptance(digest: 1))))
        #expect(Self.problem(machine.state)?.code == .mismatch)
    }
}
