import CaesuraFormat
import Testing

@testable import CaesuraMigration

/// What a source does once rounds do not make the blackout shorter, by policy, and what it waits for before writes stop.
struct SourcePolicyTests {
    /// A source whose rounds are played one after the other.
    private struct Play {
        var move: SourceMove
        private var now = Duration.zero
        private var epoch: UInt64 = 2
        let audit = Audit(epoch: 2, digest: 7, rows: 3)

        /// The source after its first round: 10 MB in 10 ms.
        init(
            _ policy: SourceMove.Policy, partition: PartitionNumber = MoveTable.partition,
            budget: Duration = .milliseconds(1), registerTime: Duration? = nil
        ) throws {
            move = SourceMove(
                SourceMove.Plan(
                    partition: partition, entry: try OwnerEntry(creating: "source"),
                    target: "target", attempt: 1, budget: budget, policy: policy))
            _ = move.handle(.connected, at: now)
            if let registerTime { _ = move.handle(.registerTime(registerTime), at: now) }
            _ = move.handle(.received(.have(.nothing)), at: now)
            round(bytes: 10_000_000, in: .milliseconds(10))
        }

        /// A round of one chunk, from its cut until it is applied; what is to be done then.
        @discardableResult mutating func round(
            bytes: Int, in time: Duration
        ) -> [SourceMove.Action] {
            let isFirst = epoch == 2
            _ = move.handle(
                .roundBegan(
                    epoch: epoch, baseEpoch: isFirst ? 0 : epoch - 1,
                    baseDigest: isFirst ? 0 : epoch - 1), at: now)
            _ = move.handle(.encoded(byteCount: bytes, digest: epoch), at: now)
            epoch += 1
            now += time
            return move.handle(
                .received(
                    .applied(
                        Applied(
                            round: move.round, chunks: 1, bytes: UInt64(bytes), isComplete: true))),
                at: now)
        }

        /// Both sides have found the same.
        @discardableResult mutating func agree() -> [SourceMove.Action] {
            move.handle(.audited(audit), at: now) + move.handle(.received(.audit(audit)), at: now)
        }

        /// Why it was given up.
        var problem: MigrationProblem {
            get throws {
                guard case .ended(.givenUp(let problem)) = move.state else {
                    throw MigrationProblem(.malformed, "it was not given up: \(move.state)")
                }
                return problem
            }
        }

        /// Rounds that each are as long as the one before, until something else is done than another one.
        mutating func stick() -> [SourceMove.Action] {
            for _ in 0..<10 {
                let actions = round(bytes: 1_000_000, in: .milliseconds(10))
                if actions != [.acknowledge(chunks: 1), .beginRound(.delta)] {
                    return Array(actions.dropFirst())
                }
            }
            return []
        }
    }

    @Test func `fail gives up with both rates`() throws {
        var play = try Play(.fail)
        play.agree()
        let actions = play.stick()
        let problem = try play.problem
        #expect(problem.code == .doesNotConverge)
        // 1 MB in 10 ms, from cut to cut and to apply.
        #expect(problem.message.contains("writers change 100000000 bytes a second"))
        #expect(problem.message.contains("the target applies 100000000"))
        #expect(actions == [.send(.giveUp(problem)), .wait(nil), .end(.givenUp(problem))])
    }

    @Test func `slow delays writers twice as long each time, up to its limit, and then gives up`()
        throws
    {
        let limit = SourceMove.firstDelay * 5
        var play = try Play(.slow(limit: limit))
        play.agree()
        for factor in [1, 2, 4, 5] {
            #expect(play.stick() == [.slow(SourceMove.firstDelay * factor), .beginRound(.delta)])
        }
        let actions = play.stick()
        let problem = try play.problem
        #expect(problem.code == .doesNotConverge)
        // Nobody is delayed any more.
        #expect(actions.contains(.slow(.zero)))
    }

    @Test func `slow stops writes as soon as slower ones fit, and delays nobody after its end`()
        throws
    {
        var play = try Play(.slow(limit: .milliseconds(1)))
        play.agree()
        #expect(play.stick() == [.slow(SourceMove.firstDelay), .beginRound(.delta)])
        // A twentieth of the bytes.
        let actions = play.round(bytes: 50_000, in: .microseconds(500))
        #expect(actions.contains(.seal), "\(actions)")
        let problem = MigrationProblem(.stopped, "")
        _ = play.move.handle(.stop(problem), at: .seconds(1))
        let entry = try OwnerEntry(.abort, of: play.move.plan.entry, to: "source")
        let last = play.move.handle(.appended(.appended), at: .seconds(1))
        #expect(last.contains(.serve(entry)))
        #expect(last.contains(.slow(.zero)))
    }

    @Test func `postcopy hands over ahead when rounds do not help`() throws {
        var play = try Play(.postcopy)
        play.agree()
        #expect(play.stick().first == .seal)
        #expect(play.move.handle(.sealed, at: .seconds(1)) == [.beginRound(.slices)])
    }

    @Test func `postcopy gives up where there are no slices, and says so`() throws {
        var play = try Play(.postcopy, partition: .unkeyed)
        play.agree()
        _ = play.stick()
        let problem = try play.problem
        #expect(problem.code == .doesNotConverge)
        #expect(problem.message.hasPrefix("logs and cells cannot follow their owner"))
    }

    @Test(arguments: [SourceMove.Policy.fail, .slow(limit: .seconds(1)), .postcopy])
    func `a register that is too slow is named, whatever the policy`(
        _ policy: SourceMove.Policy
    ) throws {
        var play = try Play(policy, registerTime: .milliseconds(2))
        play.agree()
        _ = play.stick()
        let problem = try play.problem
        #expect(problem.code == .doesNotConverge)
        #expect(problem.message.hasPrefix("the register takes 0.002 seconds"))
    }

    @Test func `bytes are on their way once the target has said what it has of them`() throws {
        var play = try Play(.fail)
        let entry = play.move.plan.entry
        // All that was sent was applied.
        #expect(play.move.unacknowledgedBytes == 0)
        _ = play.move.handle(.roundBegan(epoch: 3, baseEpoch: 2, baseDigest: 2), at: .zero)
        _ = play.move.handle(.encoded(byteCount: 10, digest: nil), at: .zero)
        #expect(play.move.unacknowledgedBytes == 10)
        _ = play.move.handle(.disconnected, at: .zero)
        _ = play.move.handle(.connected, at: .zero)
        #expect(play.move.unacknowledgedBytes == 0)
        let part = Holding.Part(round: 2, epoch: 3, chunks: 0, bytes: 0)
        _ = play.move.handle(.received(.have(.part(part))), at: .zero)
        #expect(play.move.unacknowledgedBytes == 10)

        // One that takes nothing back for now has nothing.
        var lettingGo = SourceMove(play.move.plan, lettingGo: entry)
        for event in [
            .connected, .received(.have(.nothing)),
            .roundBegan(epoch: 3, baseEpoch: 0, baseDigest: 0),
            .encoded(byteCount: 10, digest: nil),
        ] as [SourceMove.Event] {
            _ = lettingGo.handle(event, at: .zero)
        }
        #expect(lettingGo.unacknowledgedBytes == 10)
        _ = lettingGo.handle(.received(.giveUp(MigrationProblem(.busy, ""))), at: .zero)
        #expect(lettingGo.unacknowledgedBytes == 0)
    }

    @Test func `writes do not stop before the audits agree`() throws {
        var play = try Play(.fail)
        // It fits after a round; there is no other until the target has said what it found.
        var actions = play.round(bytes: 100, in: .microseconds(100))
        #expect(actions == [.acknowledge(chunks: 1)])
        #expect(play.move.state == .copying)
        actions = play.agree()
        #expect(actions == [.beginRound(.delta)])
        actions = play.round(bytes: 100, in: .microseconds(100))
        #expect(actions.contains(.seal))
    }

    @Test func `a move whose audits differ is given up while writers go on`() throws {
        for ownIsFirst in [true, false] {
            var play = try Play(.fail)
            let events: [SourceMove.Event] = [
                .audited(play.audit), .received(.audit(Audit(epoch: 2, digest: 8, rows: 2))),
            ]
            var actions: [SourceMove.Action] = []
            for event in ownIsFirst ? events : events.reversed() {
                actions = play.move.handle(event, at: .seconds(1))
            }
            let problem = try play.problem
            #expect(problem.code == .damaged)
            #expect(problem.message.contains("2 of them, and 3 here"))
            #expect(actions.contains(.send(.giveUp(problem))))
        }
    }
}
