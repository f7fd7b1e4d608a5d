import CaesuraFormat
import CaesuraMigration
import Testing

/// What the target of a move does in each state with each event.
///
/// The table is what `docs/MIGRATION.md` section 4 says; of what is in no line of a state nothing comes.
struct TargetTableTests {
    @Test func `the target does what its table says`() throws {
        MoveTable.expectSame(try Machine().table, Self.table)
    }

    static let table = """
        receiving | move | have nothing
        receiving | move to recover, another move, gives up, aborted | given up: stopped. drop
        receiving | round 1 | begin 1
        receiving | round 2, round 9, chunk, handover, another handover, handover ahead, slice's \
        end, slice's early end, no request | given up: malformed. send giveUp drop
        receiving | disconnected | waiting. wait 60.0 seconds
        receiving | audited | send audit
        receiving | damaged | given up: damaged. send giveUp drop
        receiving | stop | given up: noRoom. send giveUp drop
        in a round | move | have 0 of round 1
        in a round | move to recover, another move, gives up, aborted | given up: stopped. drop
        in a round | round 1, round 2, round 9, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. send giveUp drop
        in a round | chunk | apply
        in a round | applied | applied 1 of 1
        in a round | applied the end | applied 1 of 1 audit prepare committed
        in a round | disconnected | waiting. wait 60.0 seconds
        in a round | audited | send audit
        in a round | damaged | given up: damaged. send giveUp drop
        in a round | stop | given up: noRoom. send giveUp drop
        recovering | move, another move, gives up, aborted | given up: stopped. drop
        recovering | move to recover | have 0 of round 1
        recovering | round 1, round 2, round 9, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. send giveUp drop
        recovering | chunk | apply
        recovering | applied | applied 1 of 1
        recovering | applied the end | adopting. applied 1 of 1 adopt
        recovering | disconnected | waiting. wait 60.0 seconds
        recovering | audited | send audit
        recovering | damaged | given up: damaged. send giveUp drop
        recovering | stop | given up: noRoom. send giveUp drop
        after a round | move | have 1 of round 1
        after a round | move to recover, another move, gives up, aborted | given up: stopped. drop
        after a round | round 1, round 9, chunk, another handover, handover ahead, slice's end, \
        slice's early end, no request | given up: malformed. send giveUp drop
        after a round | round 2 | begin 2
        after a round | handover | adopting. adopt
        after a round | disconnected | waiting. wait 60.0 seconds
        after a round | audited | send audit
        after a round | damaged | given up: damaged. send giveUp drop
        after a round | stop | given up: noRoom. send giveUp drop
        before slices | move | have 0 of round 2
        before slices | move to recover, another move, gives up, aborted | given up: stopped. drop
        before slices | round 1, round 2, round 9, handover, another handover, slice's end, \
        slice's early end, no request | given up: malformed. send giveUp drop
        before slices | chunk | apply
        before slices | applied, applied the end | applied 1 of 2
        before slices | handover ahead | adopting. adopt all but 1
        before slices | disconnected | waiting. wait 60.0 seconds
        before slices | audited | send audit
        before slices | damaged | given up: damaged. send giveUp drop
        before slices | stop | given up: noRoom. send giveUp drop
        waiting | move | receiving. have 1 of round 1
        waiting | move to recover, another move, gives up, aborted | given up: stopped. drop
        waiting | round 1, round 2, round 9, chunk, handover, another handover, handover ahead, \
        slice's end, slice's early end, no request | given up: malformed. drop
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
        pulling | applied | applied 1 of 2
        pulling | applied the end | owning committed. applied 1 of 2 complete
        pulling | slice's end | adopt slice open
        pulling | wanted | pull
        pulling | damaged | reconnect
        pulling | stop | incomplete committed: noRoom. send giveUp
        owning | move, move to recover, another move | have owns
        owning | durable | moved committed. durable committed
        """

    /// Its states, and the events that each is asked about.
    struct Machine {
        let entries: MoveTable.Entries

        init() throws { entries = try MoveTable.Entries() }

        func request(_ purpose: MoveRequest.Purpose, attempt: UInt64 = 1) -> MoveRequest {
            MoveRequest(
                partition: MoveTable.partition, attempt: attempt, purpose: purpose,
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
                ("applied", .applied(byteCount: 10, digest: nil)),
                ("applied the end", .applied(byteCount: 10, digest: 6)),
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
            case .prepare(let entry): "prepare \(entries.name(entry))"
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
            MoveTable.lines(states.map(\.0)) { index in
                let machine = states[index].1
                // What was applied is a chunk that was to be.
                var after = machine
                let applies = after.handle(.received(.chunk([]))) == [.apply]
                return events.filter { applies || !$0.0.hasPrefix("applied") }.map { event, value in
                    var next = machine
                    let actions = next.handle(value).compactMap(text)
                    return (event, text(machine.state), text(next.state), actions)
                }
            }
        }
    }
}
