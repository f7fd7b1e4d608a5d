import CaesuraFormat
import CaesuraMigration
import Testing

/// What both machines of a move do in each state with each event.
///
/// The tables below are what `docs/MIGRATION.md` section 4 says; of what is in no line of a state nothing comes.
struct MoveTableTests {
    static let partition = PartitionNumber(index: 0, bits: 0)

    /// Entries of the partition: the source's, what the target appends, what the source appends to abort, a later one of each,
    /// and that of a third node.
    struct Entries {
        let own: OwnerEntry
        let committed: OwnerEntry
        let aborted: OwnerEntry
        let returned: OwnerEntry
        let others: OwnerEntry

        init() throws {
            own = try OwnerEntry(creating: "source")
            committed = try OwnerEntry(.commit, of: own, to: "target")
            aborted = try OwnerEntry(.abort, of: own, to: "source")
            returned = try OwnerEntry(.abort, of: committed, to: "target")
            others = try OwnerEntry(.takeover, of: committed, to: "third")
        }

        func name(_ entry: OwnerEntry) -> String {
            switch entry {
            case own: "own"
            case committed: "committed"
            case aborted: "aborted"
            case returned: "returned"
            case others: "others"
            default: "\(entry.owner) \(entry.fencingEpoch)"
            }
        }
    }

    // MARK: The source

    struct Source {
        let entries: Entries
        let audit = Audit(epoch: 2, digest: 7, rows: 3)

        init() throws { entries = try Entries() }

        func move(
            _ events: [SourceMove.Event], _ policy: SourceMove.Policy = .fail
        ) -> SourceMove {
            var move = SourceMove(
                SourceMove.Plan(
                    partition: MoveTableTests.partition, entry: entries.own, target: "target",
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
                sealing + [
                    .sealed, .roundBegan(epoch: 4, baseEpoch: 3, baseDigest: 6),
                    .encoded(byteCount: 10, digest: 8),
                ]
            let handing = finishing + [applied(3, 1, isComplete: true)]
            // With a budget of zero the audits are what the first round waits for.
            let ahead: [SourceMove.Event] =
                audited + [
                    .roundBegan(epoch: 3, baseEpoch: 2, baseDigest: 5),
                    .encoded(byteCount: 10, digest: 6), applied(2, 1, isComplete: true), .sealed,
                    .roundBegan(epoch: 4, baseEpoch: 3, baseDigest: 6, missing: [.all]),
                ]
            return [
                ("connecting", move([])), ("asking", move(asking)), ("copying", move(sent)),
                ("sealing", move(sealing)), ("finishing", move(finishing)),
                ("handing over", move(handing)), ("handing over ahead", move(ahead, .postcopy)),
                ("aborting", move(handing + [.timedOut])),
                ("letting go", move(handing + [.received(.owned(entries.committed))])),
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
            return [
                ("connected", .connected), ("disconnected", .disconnected),
                ("have nothing", .received(.have(.nothing))),
                ("have round 1", .received(.have(.part(part)))),
                ("have round 3", .received(.have(.part(last)))),
                ("have owns", .received(.have(.owns(entries.committed)))),
                ("applied some of 1", applied(1, 0, isComplete: false)),
                ("applied all of 1", applied(1, 1, isComplete: true)),
                ("applied all of 3", applied(3, 1, isComplete: true)),
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
                ("encoded", .encoded(byteCount: 10, digest: nil)), ("audited", .audited(audit)),
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
            MoveTableTests.lines(states.map(\.0)) { index in
                let machine = states[index].1
                return events.map { event, value in
                    var next = machine
                    let actions = next.handle(value, at: .milliseconds(1)).compactMap(text)
                    return (event, text(machine.state), text(next.state), actions)
                }
            }
        }
    }

    // MARK: The target

    struct Target {
        let entries: Entries

        init() throws { entries = try Entries() }

        func request(_ purpose: MoveRequest.Purpose, attempt: UInt64 = 1) -> MoveRequest {
            MoveRequest(
                partition: MoveTableTests.partition, attempt: attempt, purpose: purpose,
                entry: purpose == .handover ? entries.own : entries.committed)
        }

        func move(
            _ events: [TargetMove.Event], for purpose: MoveRequest.Purpose = .handover
        ) -> TargetMove {
            var move = TargetMove(request(purpose), node: "target")
            for event in events { _ = move.handle(event) }
            return move
        }

        private func round(_ number: UInt32) -> TargetMove.Event {
            let isFirst = number == 1
            return .received(
                .round(
                    Round(
                        number: number, epoch: UInt64(number) + 1,
                        baseEpoch: isFirst ? 0 : UInt64(number), baseDigest: isFirst ? 0 : 5)))
        }

        var states: [(String, TargetMove)] {
            let begun: [TargetMove.Event] = [round(1), .received(.chunk([]))]
            let first: [TargetMove.Event] = begun + [.applied(byteCount: 10, digest: 5)]
            let handover: [TargetMove.Event] =
                first + [.received(.handover(Handover(epoch: 2, digest: 5)))]
            let ahead: [TargetMove.Event] =
                first + [
                    round(2), .received(.handoverAhead(HandoverAhead(epoch: 3, missing: [.all]))),
                    .adopted,
                ]
            let pulling: [TargetMove.Event] = ahead + [.appended(.appended)]
            let owning: [TargetMove.Event] = handover + [.adopted, .appended(.appended)]
            return [
                ("receiving", move([])), ("in a round", move(begun)),
                ("recovering", move(begun, for: .recovery)), ("after a round", move(first)),
                ("before slices", move(first + [round(2)])),
                ("waiting", move(first + [.disconnected])), ("adopting", move(handover)),
                ("appending", move(handover + [.adopted])), ("appending ahead", move(ahead)),
                ("pulling", move(pulling)), ("owning", move(owning)),
                ("ended", move(owning + [.durable])),
            ]
        }

        var events: [(String, TargetMove.Event)] {
            [
                ("move", .received(.move(request(.handover)))),
                ("move to recover", .received(.move(request(.recovery)))),
                ("another move", .received(.move(request(.recovery, attempt: 2)))),
                ("round 1", round(1)), ("round 2", round(2)), ("round 9", round(9)),
                ("chunk", .received(.chunk([]))),
                ("handover", .received(.handover(Handover(epoch: 2, digest: 5)))),
                ("another handover", .received(.handover(Handover(epoch: 2, digest: 9)))),
                (
                    "handover ahead",
                    .received(.handoverAhead(HandoverAhead(epoch: 3, missing: [.all])))
                ),
                ("slice's end", .received(.sliceEnd(SliceEnd(slice: .all, chunks: 0)))),
                ("slice's early end", .received(.sliceEnd(SliceEnd(slice: .all, chunks: 4)))),
                ("gives up", .received(.giveUp(MigrationProblem(.stopped, "")))),
                ("aborted", .received(.aborted(entries.aborted))),
                ("no request", .received(.have(.nothing))), ("disconnected", .disconnected),
                ("audited", .audited(Audit(epoch: 2, digest: 1, rows: 1))),
                ("adopted", .adopted), ("appended", .appended(.appended)),
                ("refused: own", .appended(.refused(entries.returned))),
                ("refused: source's", .appended(.refused(entries.aborted))),
                ("append unknown", .appended(nil)), ("wanted", .wanted(.all)),
                ("durable", .durable), ("timed out", .timedOut),
                ("damaged", .stop(MigrationProblem(.damaged, ""))),
                ("stop", .stop(MigrationProblem(.noRoom, ""))),
            ]
        }

        func text(_ state: TargetMove.State) -> String {
            switch state {
            case .receiving: "receiving"
            case .waiting: "waiting"
            case .adopting: "adopting"
            case .appending: "appending"
            case .pulling(let entry): "pulling \(entries.name(entry))"
            case .owning(let entry): "owning \(entries.name(entry))"
            case .ended(.moved(let entry)): "moved \(entries.name(entry))"
            case .ended(.givenUp(let problem)): "given up: \(problem.code)"
            case .ended(.refused(let entry)): "refused \(entries.name(entry))"
            case .ended(.incomplete(let entry, let problem)):
                "incomplete \(entries.name(entry)): \(problem.code)"
            }
        }

        func text(_ action: TargetMove.Action) -> String? {
            switch action {
            case .send(.have(.nothing)): "have nothing"
            case .send(.have(.part(let part))): "have \(part.chunks) of round \(part.round)"
            case .send(.have(.owns)): "have owns"
            case .send(.applied(let applied)): "applied \(applied.chunks) of \(applied.round)"
            case .send(.audit): "send audit"
            case .send(.owned(let entry)): "owned \(entries.name(entry))"
            case .send(.durable(let entry)): "durable \(entries.name(entry))"
            case .send(.giveUp): "send giveUp"
            case .send(.pull): "pull"
            case .send(let message): "send \(message)"
            case .beginRound(let round): "begin \(round.number)"
            case .apply: "apply"
            case .audit: "audit"
            case .adopt: "adopt"
            case .adoptExcept(let slices): "adopt all but \(slices.count)"
            case .adoptSlice: "adopt slice"
            case .append(let entry): "append \(entries.name(entry))"
            case .serve(let entry): "serve \(entries.name(entry))"
            case .serveExcept(let entry, let slices):
                "serve \(entries.name(entry)) but for \(slices.count)"
            case .open: "open"
            case .complete: "complete"
            case .reconnect: "reconnect"
            case .drop: "drop"
            case .wait(nil), .end: nil
            case .wait(let time?): "wait \(time)"
            }
        }

        var table: [String] {
            MoveTableTests.lines(states.map(\.0)) { index in
                let machine = states[index].1
                return events.map { event, value in
                    var next = machine
                    let actions = next.handle(value).compactMap(text)
                    return (event, text(machine.state), text(next.state), actions)
                }
            }
        }
    }

    /// A line for each state and each outcome, with the events that lead to it.
    static func lines(
        _ states: [String],
        _ outcomes: (Int) -> [(event: String, before: String, after: String, actions: [String])]
    ) -> [String] {
        var lines: [String] = []
        for (index, state) in states.enumerated() {
            var outcome: [String] = []
            var events: [String: [String]] = [:]
            for (event, before, after, actions) in outcomes(index) {
                if actions.isEmpty, before == after { continue }
                let parts = (before == after ? [] : [after + "."]) + actions
                let text = parts.joined(separator: " ")
                if events[text] == nil { outcome.append(text) }
                events[text, default: []].append(event)
            }
            for text in outcome {
                lines.append(
                    "\(state) | \(events[text, default: []].joined(separator: ", ")) | \(text)")
            }
        }
        return lines
    }

    static func expectSame(_ table: [String], _ expected: String) {
        let expected = expected.split(separator: "\n").map(String.init)
        for line in table where !expected.contains(line) { Issue.record("not expected: \(line)") }
        for line in expected where !table.contains(line) { Issue.record("expected: \(line)") }
    }

    @Test func `the source does what its table says`() throws {
        let source = try Source()
        for (name, machine) in source.states {
            #expect(name.hasPrefix(source.text(machine.state).prefix(6)) || name == "ended")
        }
        Self.expectSame(source.table, Self.sourceTable)
    }

    @Test func `the target does what its table says`() throws {
        Self.expectSame(try Target().table, Self.targetTable)
    }

    static let sourceTable = """
        connecting | connected | asking. ask to handover
        connecting | have nothing, have round 1, have round 3, have owns, applied some of 1, \
        applied all of 1, applied all of 3, applied too much, the same audit, another audit, \
        owned, owned by a third, durable, durable later, pull, no answer | given up: malformed.
        connecting | gives up | given up: noRoom.
        connecting | stop | given up: stopped.
        asking | disconnected | connecting. connect
        asking | have nothing, have round 1, have round 3 | copying. begin snapshot
        asking | have owns | overtaken committed.
        asking | applied some of 1, applied all of 1, applied all of 3, applied too much, the \
        same audit, another audit, owned, owned by a third, durable, durable later, pull, no \
        answer | given up: malformed. send giveUp
        asking | gives up | given up: noRoom.
        asking | stop | given up: stopped. send giveUp
        copying | disconnected | connecting. connect
        copying | have nothing, have round 1, have round 3, have owns, applied all of 3, applied \
        too much, owned, owned by a third, durable, durable later, pull, no answer | given up: \
        malformed. send giveUp
        copying | applied some of 1 | acknowledge 0
        copying | applied all of 1 | acknowledge 1 audit begin delta
        copying | gives up | given up: noRoom.
        copying | round began | send round 1
        copying | encoded | encode
        copying | stop | given up: stopped. send giveUp
        sealing | disconnected, have nothing, have round 1, have round 3, have owns, applied \
        some of 1, applied all of 1, applied all of 3, applied too much, another audit, owned, \
        owned by a third, durable, durable later, pull, gives up, no answer, timed out, stop | \
        aborting. append aborted
        sealing | sealed | finishing. begin delta
        sealing | postponed | copying. begin delta
        finishing | disconnected, have nothing, have round 1, have round 3, have owns, applied \
        too much, another audit, owned, owned by a third, durable, durable later, pull, gives \
        up, no answer, timed out, stop | aborting. append aborted
        finishing | applied all of 3 | handing over. acknowledge 1 send handover
        finishing | round began | send round 3
        finishing | encoded | encode
        handing over | disconnected, have nothing, have round 1, have round 3, have owns, \
        applied some of 1, applied all of 1, applied all of 3, applied too much, another audit, \
        owned by a third, durable, durable later, pull, gives up, no answer, timed out, stop | \
        aborting. append aborted
        handing over | owned | letting go committed. forward committed
        handing over ahead | disconnected, have nothing, have round 1, have round 3, have owns, \
        applied some of 1, applied all of 1, applied all of 3, applied too much, another audit, \
        owned by a third, durable, durable later, pull, gives up, no answer, timed out, stop | \
        aborting. append aborted
        handing over ahead | owned | letting go committed. forward committed encode
        aborting | appended | aborted aborted: timedOut. serve aborted send aborted
        aborting | refused: target's | letting go committed. forward committed ask to recovery
        aborting | refused: own | append source 5
        aborting | refused: a third's | overtaken others.
        aborting | append unknown | wait 0.1 seconds
        aborting | timed out | append aborted
        letting go | connected, timed out | ask to recovery
        letting go | disconnected | connect
        letting go | have nothing, have round 1, have round 3 | begin snapshot
        letting go | applied all of 3 | acknowledge 1
        letting go | durable | moved committed. remove
        letting go | durable later | moved returned. remove
        letting go | pull | demand
        letting go | gives up | wait 1.0 seconds
        letting go | round began | send round 3
        letting go | encoded | encode
        letting go ahead | connected, timed out | ask to recovery
        letting go ahead | disconnected | connect
        letting go ahead | have nothing, have round 1 | begin snapshot
        letting go ahead | have round 3 | acknowledge 0 resend
        letting go ahead | durable | moved committed. remove
        letting go ahead | durable later | moved returned. remove
        letting go ahead | pull | demand
        letting go ahead | gives up | wait 1.0 seconds
        letting go ahead | round began | send round 3
        letting go ahead | encoded | encode
        """

    static let targetTable = """
        receiving | move, move to recover, another move, gives up | given up: stopped. drop
        receiving | round 1 | begin 1
        receiving | round 2, round 9, chunk, handover, another handover, handover ahead, slice's \
        end, slice's early end, no request | given up: malformed. send giveUp drop
        receiving | aborted | refused aborted. drop
        receiving | disconnected | waiting. wait 60.0 seconds
        receiving | audited | send audit
        receiving | damaged | given up: damaged. send giveUp drop
        receiving | stop | given up: noRoom. send giveUp drop
        in a round | move, move to recover, another move, gives up | given up: stopped. drop
        in a round | round 1, round 2, round 9, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. send giveUp drop
        in a round | chunk | apply
        in a round | aborted | refused aborted. drop
        in a round | disconnected | waiting. wait 60.0 seconds
        in a round | audited | send audit
        in a round | damaged | given up: damaged. send giveUp drop
        in a round | stop | given up: noRoom. send giveUp drop
        recovering | move, move to recover, another move, gives up | given up: stopped. drop
        recovering | round 1, round 2, round 9, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. send giveUp drop
        recovering | chunk | apply
        recovering | aborted | refused aborted. drop
        recovering | disconnected | waiting. wait 60.0 seconds
        recovering | audited | send audit
        recovering | damaged | given up: damaged. send giveUp drop
        recovering | stop | given up: noRoom. send giveUp drop
        after a round | move, move to recover, another move, gives up | given up: stopped. drop
        after a round | round 1, round 9, chunk, another handover, handover ahead, slice's end, \
        slice's early end, no request | given up: malformed. send giveUp drop
        after a round | round 2 | begin 2
        after a round | handover | adopting. adopt
        after a round | aborted | refused aborted. drop
        after a round | disconnected | waiting. wait 60.0 seconds
        after a round | audited | send audit
        after a round | damaged | given up: damaged. send giveUp drop
        after a round | stop | given up: noRoom. send giveUp drop
        before slices | move, move to recover, another move, gives up | given up: stopped. drop
        before slices | round 1, round 2, round 9, handover, another handover, slice's end, \
        slice's early end, no request | given up: malformed. send giveUp drop
        before slices | chunk | apply
        before slices | handover ahead | adopting. adopt all but 1
        before slices | aborted | refused aborted. drop
        before slices | disconnected | waiting. wait 60.0 seconds
        before slices | audited | send audit
        before slices | damaged | given up: damaged. send giveUp drop
        before slices | stop | given up: noRoom. send giveUp drop
        waiting | move | receiving. have 1 of round 1
        waiting | move to recover, another move, gives up | given up: stopped. drop
        waiting | round 1, round 2, round 9, chunk, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. drop
        waiting | aborted | refused aborted. drop
        waiting | timed out | given up: timedOut. drop
        waiting | damaged | given up: damaged. drop
        waiting | stop | given up: noRoom. drop
        adopting | round 1, round 2, round 9, chunk, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. send giveUp drop
        adopting | adopted | appending. append committed
        adopting | damaged | given up: damaged. send giveUp drop
        adopting | stop | given up: noRoom. send giveUp drop
        appending | appended | owning committed. serve committed owned committed
        appending | refused: own | append target 6
        appending | refused: source's | refused aborted. drop
        appending | append unknown | wait 0.1 seconds
        appending | timed out | append committed
        appending ahead | appended | pulling committed. serve committed but for 1 owned \
        committed
        appending ahead | refused: own | append target 6
        appending ahead | refused: source's | refused aborted. drop
        appending ahead | append unknown | wait 0.1 seconds
        appending ahead | timed out | append committed
        pulling | move, move to recover | have 0 of round 2
        pulling | another move | incomplete committed: stopped.
        pulling | round 1, round 2, round 9, handover, another handover, handover ahead, slice's \
        early end, no request | incomplete committed: malformed. send giveUp
        pulling | chunk | apply
        pulling | slice's end | adopt slice open
        pulling | wanted | pull
        pulling | damaged | reconnect
        pulling | stop | incomplete committed: noRoom. send giveUp
        owning | move, move to recover, another move | have owns
        owning | durable | moved committed. durable committed
        """
}
