import CaesuraFormat
import CaesuraMigration
import Testing

/// What the source of a move does in each state with each event.
///
/// The table is what `docs/MIGRATION.md` section 4 says; of what is in no line of a state nothing comes.
struct SourceTableTests {
    @Test func `the source does what its table says`() throws {
        let machines = try Machine()
        for (name, machine) in machines.states {
            #expect(name.hasPrefix(machines.text(machine.state).prefix(6)) || name == "ended")
        }
        MoveTable.expectSame(machines.table, Self.table)
    }

    static let table = """
        connecting | connected | asking. ask to handover
        connecting | gives up | given up: noRoom.
        connecting | timed out | given up: timedOut.
        connecting | stop | given up: stopped.
        connecting | have nothing, have round 1, have round 3, have the last round there is, have owns, applied some of 1, \
        applied all of 1, applied all of 3, applied some of 3, applied two of 3, applied too \
        much, the same audit, another audit, owned, owned by a third, durable, durable later, \
        pull, no answer | given up: malformed.
        asking | disconnected | connecting. connect
        asking | have nothing, have round 1, have round 3, have the last round there is | copying. begin snapshot
        asking | have owns | overtaken committed.
        asking | gives up | given up: noRoom.
        asking | timed out | given up: timedOut. send giveUp
        asking | stop | given up: stopped. send giveUp
        asking | applied some of 1, applied all of 1, applied all of 3, applied some of 3, \
        applied two of 3, applied too much, the same audit, another audit, owned, owned by a \
        third, durable, durable later, pull, no answer | given up: malformed. send giveUp
        asking again | disconnected | connecting. connect
        asking again | have round 1 | copying. acknowledge 1 resend audit begin delta
        asking again | have nothing, have round 3, have the last round there is | copying. begin snapshot
        asking again | have owns | overtaken committed.
        asking again | gives up | given up: noRoom.
        asking again | timed out | given up: timedOut. send giveUp
        asking again | stop | given up: stopped. send giveUp
        asking again | applied some of 1, applied all of 1, applied all of 3, applied some of 3, \
        applied two of 3, applied too much, the same audit, another audit, owned, owned by a \
        third, durable, durable later, pull, no answer | given up: malformed. send giveUp
        asking in round 2 | disconnected | connecting. connect
        asking in round 2 | have round 1 | copying. send round 2 resend
        asking in round 2 | have nothing, have round 3, have the last round there is | copying. begin snapshot
        asking in round 2 | have owns | overtaken committed.
        asking in round 2 | gives up | given up: noRoom.
        asking in round 2 | timed out | given up: timedOut. send giveUp
        asking in round 2 | stop | given up: stopped. send giveUp
        asking in round 2 | applied some of 1, applied all of 1, applied all of 3, applied some \
        of 3, applied two of 3, applied too much, the same audit, another audit, owned, owned by \
        a third, durable, durable later, pull, no answer | given up: malformed. send giveUp
        copying | disconnected | connecting. connect wait 60.0 seconds
        copying | applied some of 1 | acknowledge 0
        copying | applied all of 1 | acknowledge 1 audit begin delta
        copying | gives up | given up: noRoom.
        copying | round began | send round 1
        copying | encoded | encode
        copying | stop | given up: stopped. send giveUp
        copying | have nothing, have round 1, have round 3, have the last round there is, have owns, applied all of 3, applied \
        some of 3, applied two of 3, applied too much, owned, owned by a third, durable, durable \
        later, pull, no answer | given up: malformed. send giveUp
        sealing | sealed | finishing. begin delta
        sealing | postponed | copying. begin delta
        sealing | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, applied \
        some of 1, applied all of 1, applied all of 3, applied some of 3, applied two of 3, \
        applied too much, another audit, owned, owned by a third, durable, durable later, pull, \
        gives up, no answer, timed out, stop | aborting. append aborted
        finishing | round began | send round 3
        finishing | encoded | encode
        finishing | encoded the end | handing over. send handover
        finishing | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, applied \
        all of 3, applied some of 3, applied two of 3, applied too much, another audit, owned, \
        owned by a third, durable, durable later, pull, gives up, no answer, timed out, stop | \
        aborting. append aborted
        finishing two | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, \
        applied all of 3, applied two of 3, applied too much, another audit, owned, owned by a \
        third, durable, durable later, pull, gives up, no answer, timed out, stop | aborting. \
        append aborted
        finishing two | applied some of 3 | acknowledge 1
        finishing two | round began | send round 3
        finishing two | encoded | encode
        finishing two | encoded the end | handing over. send handover
        handing over | applied all of 3 | acknowledge 1
        handing over | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, \
        applied some of 3, applied two of 3, applied too much, another audit, owned by a third, \
        durable, durable later, pull, gives up, no answer, timed out, stop | aborting. append \
        aborted
        handing over | owned | letting go committed. forward committed acknowledge 1
        handing over two | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, \
        applied all of 3, applied too much, another audit, owned by a third, durable, durable \
        later, pull, gives up, no answer, timed out, stop | aborting. append aborted
        handing over two | applied some of 3 | acknowledge 1
        handing over two | applied two of 3 | acknowledge 2
        handing over two | owned | letting go committed. forward committed acknowledge 2
        handing over ahead | owned | letting go committed. forward committed encode
        handing over ahead | disconnected, have nothing, have round 1, have round 3, have the last round there is, have owns, \
        applied some of 1, applied all of 1, applied all of 3, applied some of 3, applied two of \
        3, applied too much, another audit, owned by a third, durable, durable later, pull, \
        gives up, no answer, timed out, stop | aborting. append aborted
        aborting | applied all of 3 | acknowledge 1
        aborting | appended | aborted aborted: timedOut. serve aborted send aborted
        aborting | refused: own | append source 5
        aborting | refused: a third's | overtaken others.
        aborting | append unknown | wait 0.1 seconds
        aborting | timed out | append aborted
        aborting | refused: target's | letting go committed. forward committed acknowledge 1 ask \
        to recovery
        letting go | connected, timed out | ask to recovery
        letting go | disconnected | connect
        letting go | applied all of 3 | acknowledge 1
        letting go | durable | moved committed. remove
        letting go | durable later | moved returned. remove
        letting go | pull | demand
        letting go | gives up | wait 1.0 seconds
        letting go | round began | send round 3
        letting go | encoded | encode
        letting go | have nothing, have round 1, have round 3, have the last round there is | begin snapshot
        letting go unheard | connected, timed out | ask to recovery
        letting go unheard | disconnected | connect
        letting go unheard | have nothing, have round 1, have round 3, have the last round there is | begin snapshot
        letting go unheard | applied two of 3 | acknowledge 2
        letting go unheard | durable | moved committed. remove
        letting go unheard | durable later | moved returned. remove
        letting go unheard | pull | demand
        letting go unheard | gives up | wait 1.0 seconds
        letting go unheard | round began | send round 3
        letting go unheard | encoded | encode
        letting go ahead | connected, timed out | ask to recovery
        letting go ahead | disconnected | connect
        letting go ahead | have nothing, have round 1, have the last round there is | begin snapshot
        letting go ahead | have round 3 | acknowledge 0 resend
        letting go ahead | durable | moved committed. remove
        letting go ahead | durable later | moved returned. remove
        letting go ahead | pull | demand
        letting go ahead | gives up | wait 1.0 seconds
        letting go ahead | round began | send round 3
        letting go ahead | encoded | encode
        """

    /// Its states, and the events that each is asked about.
    struct Machine {
        let entries: MoveTable.Entries
        let audit = Audit(epoch: 2, digest: 7, rows: 3)

        init() throws { entries = try MoveTable.Entries() }

        func move(
            _ events: [SourceMove.Event], _ policy: SourceMove.Policy = .fail
        ) -> SourceMove {
            var move = SourceMove(
                SourceMove.Plan(
                    partition: MoveTable.partition, entry: entries.own, target: "target",
                    attempt: 1, budget: policy == .postcopy ? .zero : .milliseconds(1),
                    policy: policy))
            for (index, event) in events.enumerated() {
                _ = move.handle(event, at: .microseconds(index * 10))
            }
            return move
        }

        func applied(_ round: UInt32, _ chunks: UInt64, isComplete: Bool) -> SourceMove.Event {
            .received(
                .applied(
                    Applied(
                        round: round, chunks: chunks, bytes: chunks * 10, isComplete: isComplete)))
        }

        /// The machine in each state.
        var states: [(String, SourceMove)] {
            let asking: [SourceMove.Event] = [.connected]
            let first: [SourceMove.Event] =
                asking + [
                    .received(.have(.nothing)), .roundBegan(epoch: 2, baseEpoch: 0, baseDigest: 0),
                ]
            let sent = first + [.encoded(byteCount: 10, digest: 5)]
            let audited: [SourceMove.Event] =
                sent + [applied(1, 1, isComplete: true), .audited(audit), .received(.audit(audit))]
            let second: [SourceMove.Event] =
                audited + [
                    .roundBegan(epoch: 3, baseEpoch: 2, baseDigest: 5),
                    .encoded(byteCount: 10, digest: 6),
                ]
            let sealing = second + [applied(2, 1, isComplete: true)]
            let finishing: [SourceMove.Event] =
                sealing + [.sealed, .roundBegan(epoch: 4, baseEpoch: 3, baseDigest: 6)]
            let handing: [SourceMove.Event] = finishing + [.encoded(byteCount: 10, digest: 8)]
            // A last round of two chunks.
            let finishingTwo: [SourceMove.Event] =
                finishing + [.encoded(byteCount: 10, digest: nil)]
            let handingTwo: [SourceMove.Event] =
                finishingTwo + [.encoded(byteCount: 10, digest: 8)]
            // With a budget of zero the audits are what the first round waits for.
            let ahead: [SourceMove.Event] =
                audited + [
                    .roundBegan(epoch: 3, baseEpoch: 2, baseDigest: 5),
                    .encoded(byteCount: 10, digest: 6), applied(2, 1, isComplete: true), .sealed,
                    .roundBegan(epoch: 4, baseEpoch: 3, baseDigest: 6, missing: [.all]),
                ]
            return [
                ("connecting", move([])), ("asking", move(asking)),
                ("asking again", move(sent + [.disconnected, .connected])),
                (
                    "asking in round 2",
                    move(
                        audited + [
                            .roundBegan(epoch: 3, baseEpoch: 2, baseDigest: 5),
                            .encoded(byteCount: 10, digest: nil), .disconnected, .connected,
                        ])
                ),
                ("copying", move(sent)),
                ("sealing", move(sealing)), ("finishing", move(finishing)),
                ("finishing two", move(finishingTwo)), ("handing over", move(handing)),
                ("handing over two", move(handingTwo)),
                ("handing over ahead", move(ahead, .postcopy)),
                ("aborting", move(handing + [.timedOut])),
                ("letting go", move(handing + [.received(.owned(entries.committed))])),
                // It was not told that the last round was applied.
                (
                    "letting go unheard",
                    move(
                        handingTwo + [
                            .timedOut, applied(3, 1, isComplete: false),
                            .appended(.refused(entries.committed)),
                        ])
                ),
                (
                    "letting go ahead",
                    move(ahead + [.received(.owned(entries.committed))], .postcopy)
                ),
                ("ended", move([.stop(MigrationProblem(.stopped, ""))])),
            ]
        }

        var events: [(String, SourceMove.Event)] {
            let part = Holding.Part(round: 1, epoch: 2, chunks: 1, bytes: 10)
            let last = Holding.Part(round: 3, epoch: 4, chunks: 0, bytes: 0)
            let beyond = Holding.Part(round: .max, epoch: .max, chunks: .max, bytes: .max)
            return [
                ("connected", .connected), ("disconnected", .disconnected),
                ("have nothing", .received(.have(.nothing))),
                ("have round 1", .received(.have(.part(part)))),
                ("have round 3", .received(.have(.part(last)))),
                ("have the last round there is", .received(.have(.part(beyond)))),
                ("have owns", .received(.have(.owns(entries.committed)))),
                ("applied some of 1", applied(1, 0, isComplete: false)),
                ("applied all of 1", applied(1, 1, isComplete: true)),
                ("applied all of 3", applied(3, 1, isComplete: true)),
                ("applied some of 3", applied(3, 1, isComplete: false)),
                ("applied two of 3", applied(3, 2, isComplete: true)),
                ("applied too much", applied(9, 9, isComplete: true)),
                ("the same audit", .received(.audit(audit))),
                ("another audit", .received(.audit(Audit(epoch: 2, digest: 8, rows: 3)))),
                ("owned", .received(.owned(entries.committed))),
                ("owned by a third", .received(.owned(entries.others))),
                ("durable", .received(.durable(entries.committed))),
                ("durable later", .received(.durable(entries.returned))),
                ("pull", .received(.pull(.all))),
                ("gives up", .received(.giveUp(MigrationProblem(.noRoom, "")))),
                (
                    "no answer",
                    .received(.round(Round(number: 1, epoch: 1, baseEpoch: 0, baseDigest: 0)))
                ),
                ("round began", .roundBegan(epoch: 9, baseEpoch: 4, baseDigest: 8)),
                ("encoded", .encoded(byteCount: 10, digest: nil)),
                ("encoded the end", .encoded(byteCount: 10, digest: 8)),
                ("audited", .audited(audit)),
                ("a round trip", .roundTrip(.milliseconds(1))),
                ("a time of the register", .registerTime(.milliseconds(1))),
                ("sealed", .sealed), ("postponed", .postponed), ("appended", .appended(.appended)),
                ("refused: target's", .appended(.refused(entries.committed))),
                ("refused: own", .appended(.refused(entries.aborted))),
                ("refused: a third's", .appended(.refused(entries.others))),
                ("append unknown", .appended(nil)), ("timed out", .timedOut),
                ("stop", .stop(MigrationProblem(.stopped, ""))),
            ]
        }

        func text(_ state: SourceMove.State) -> String {
            switch state {
            case .connecting: "connecting"
            case .asking: "asking"
            case .copying: "copying"
            case .sealing: "sealing"
            case .finishing: "finishing"
            case .handingOver: "handing over"
            case .aborting: "aborting"
            case .lettingGo(let entry): "letting go \(entries.name(entry))"
            case .ended(.moved(let entry)): "moved \(entries.name(entry))"
            case .ended(.givenUp(let problem)): "given up: \(problem.code)"
            case .ended(.aborted(let entry, let problem)):
                "aborted \(entries.name(entry)): \(problem.code)"
            case .ended(.overtaken(let entry)): "overtaken \(entries.name(entry))"
            }
        }

        func text(_ action: SourceMove.Action) -> String? {
            switch action {
            case .connect: "connect"
            case .send(.move(let request)): "ask to \(request.purpose)"
            case .send(.round(let round)): "send round \(round.number)"
            case .send(.handover): "send handover"
            case .send(.handoverAhead): "send handover ahead"
            case .send(.giveUp): "send giveUp"
            case .send(.aborted): "send aborted"
            case .send(let message): "send \(message)"
            case .beginRound(let kind): "begin \(kind)"
            case .demand: "demand"
            case .encode: "encode"
            case .acknowledge(let chunks): "acknowledge \(chunks)"
            case .resend: "resend"
            case .audit: "audit"
            case .seal: "seal"
            case .slow(let delay): "slow \(delay)"
            case .append(let entry): "append \(entries.name(entry))"
            case .serve(let entry): "serve \(entries.name(entry))"
            case .forward(let entry): "forward \(entries.name(entry))"
            case .remove: "remove"
            case .wait(nil), .end: nil
            case .wait(let time?): "wait \(time)"
            }
        }

        var table: [String] {
            MoveTable.lines(states.map(\.0)) { index in
                let machine = states[index].1
                return events.map { event, value in
                    var next = machine
                    let actions = next.handle(value, at: .milliseconds(1)).compactMap(text)
                    return (event, text(machine.state), text(next.state), actions)
                }
            }
        }
    }
}
