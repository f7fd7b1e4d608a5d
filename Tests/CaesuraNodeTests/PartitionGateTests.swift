import CaesuraMigration
import CaesuraNode
import Synchronization
import Testing

/// What a gate does in each state, on one thread.
struct PartitionGateTests {
    /// What was called back, in order.
    final class Journal: Sendable {
        private let lines = Mutex<[String]>([])
        func note(_ line: String) { lines.withLock { $0.append(line) } }
        func take() -> [String] {
            lines.withLock { lines in
                defer { lines = [] }
                return lines
            }
        }
    }

    /// Entries by their fencing epochs.
    struct Entries {
        /// Epoch 1 of this node.
        let first: OwnerEntry
        /// Epoch 2 of another node.
        let committed: OwnerEntry
        /// Epoch 3 of this node.
        let aborted: OwnerEntry
        /// Epoch 5 of this node.
        let later: OwnerEntry
        /// Epoch 8 of a third node.
        let last: OwnerEntry

        init() throws {
            first = try OwnerEntry(creating: "a")
            committed = try OwnerEntry(.commit, of: first, to: "b")
            aborted = try OwnerEntry(.abort, of: first, to: "a")
            later = try OwnerEntry(.abort, of: aborted, to: "a")
            last = try OwnerEntry(.takeover, of: later, to: "c")
        }
    }

    static func text(_ entry: OwnerEntry?) -> String { entry.map { "\($0.fencingEpoch)" } ?? "-" }

    static func text(_ state: PartitionGate.State) -> String {
        switch state {
        case .serving(let entry): "serving \(text(entry))"
        case .sealed(let entry): "sealed \(text(entry))"
        case .elsewhere(let entry): "elsewhere \(text(entry))"
        }
    }

    static func text(_ outcome: PartitionGate.Outcome<UInt64>) -> String {
        switch outcome {
        case .done(let epoch): "done \(epoch)"
        case .wait: "wait"
        case .elsewhere(let entry): "elsewhere \(text(entry))"
        case .overtaken: "overtaken"
        }
    }

    static func text(_ resumption: PartitionGate.Resumption) -> String {
        switch resumption {
        case .serves: "serves"
        case .elsewhere(let entry): "elsewhere \(text(entry))"
        case .tooMany: "too many"
        }
    }

    /// A state of the gate, with what is under way.
    enum Situation: CaseIterable {
        /// As it was made.
        case new
        /// Epoch 2 is another node's.
        case elsewhere
        /// The same, and a writer is inside.
        case leaving
        /// The same, and somebody waits for the writer to leave.
        case drainingElsewhere
        /// Under epoch 1.
        case serving
        /// The same, and a writer is inside.
        case busy
        /// Under epoch 1, and somebody waits for the writer to leave; a write waits.
        case draining
        /// Under epoch 1; a write waits.
        case sealed
        /// As draining, and epoch 3 is to be served.
        case opening

        var hasWriter: Bool {
            switch self {
            case .leaving, .drainingElsewhere, .busy, .draining, .opening: true
            case .new, .elsewhere, .serving, .sealed: false
            }
        }
    }

    enum Event: CaseIterable {
        case write
        /// A write of a sender that knows the gate's entry.
        case current
        case older
        case later
        case wait
        case seal
        /// Of epoch 5.
        case serve
        case close
        /// Of epoch 8.
        case closeFor
        /// The writer inside leaves.
        case leave
    }

    static func makeGate(
        _ situation: Situation, _ journal: Journal
    ) throws -> (gate: PartitionGate, entry: OwnerEntry?) {
        let entries = try Entries()
        let gate = PartitionGate()
        if situation == .new { return (gate, nil) }
        gate.serve(entries.first)
        if situation.hasWriter { #expect(gate.enter() == 1) }
        switch situation {
        case .draining, .drainingElsewhere, .opening, .sealed:
            gate.seal { journal.note("drained") }
        case .new, .elsewhere, .leaving, .serving, .busy: break
        }
        switch situation {
        case .draining, .opening, .sealed:
            #expect(gate.wait { journal.note("waiter \(text($0))") } != nil)
        case .new, .elsewhere, .leaving, .drainingElsewhere, .serving, .busy: break
        }
        switch situation {
        case .elsewhere, .leaving, .drainingElsewhere:
            gate.close(entries.committed)
            return (gate, entries.committed)
        case .opening:
            gate.serve(entries.aborted)
            return (gate, entries.aborted)
        case .new, .serving, .busy, .draining, .sealed: return (gate, entries.first)
        }
    }

    static func cause(
        _ event: Event, _ gate: PartitionGate, knowing entry: OwnerEntry?, _ journal: Journal
    ) throws {
        let entries = try Entries()
        func write(_ known: UInt64?) {
            journal.note(text(gate.perform(checking: known) { $0 }))
        }
        switch event {
        case .write: write(nil)
        case .current: write(entry?.fencingEpoch ?? 1)
        case .older: write(0)
        case .later: write(99)
        case .wait:
            let ticket = gate.wait { journal.note("told \(text($0))") }
            if ticket != nil { journal.note("queued") }
        case .seal: gate.seal { journal.note("drained again") }
        case .serve: gate.serve(entries.later)
        case .close: gate.close(nil)
        case .closeFor: gate.close(entries.last)
        case .leave: gate.leave()
        }
    }

    /// What is called, and the state that follows; a leave is only where a writer is inside.
    static let table: [Situation: [Event: String]] = [
        .new: [
            .write: "elsewhere - → elsewhere -", .current: "elsewhere - → elsewhere -",
            .older: "elsewhere - → elsewhere -", .later: "elsewhere - → elsewhere -",
            .wait: "told elsewhere - → elsewhere -", .seal: "drained again → elsewhere -",
            .serve: "→ serving 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
        ],
        .elsewhere: [
            .write: "elsewhere 2 → elsewhere 2", .current: "elsewhere 2 → elsewhere 2",
            .older: "elsewhere 2 → elsewhere 2", .later: "overtaken → elsewhere 2",
            .wait: "told elsewhere 2 → elsewhere 2", .seal: "drained again → elsewhere 2",
            .serve: "→ serving 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
        ],
        .leaving: [
            .write: "elsewhere 2 → elsewhere 2", .current: "elsewhere 2 → elsewhere 2",
            .older: "elsewhere 2 → elsewhere 2", .later: "overtaken → elsewhere 2",
            .wait: "told elsewhere 2 → elsewhere 2", .seal: "→ elsewhere 2",
            .serve: "→ sealed 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
            .leave: "→ elsewhere 2",
        ],
        .drainingElsewhere: [
            .write: "elsewhere 2 → elsewhere 2", .current: "elsewhere 2 → elsewhere 2",
            .older: "elsewhere 2 → elsewhere 2", .later: "overtaken → elsewhere 2",
            .wait: "told elsewhere 2 → elsewhere 2", .seal: "→ elsewhere 2",
            .serve: "→ sealed 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
            .leave: "drained → elsewhere 2",
        ],
        .serving: [
            .write: "done 1 → serving 1", .current: "done 1 → serving 1",
            .older: "elsewhere 1 → serving 1", .later: "overtaken → serving 1",
            .wait: "told serves → serving 1", .seal: "drained again → sealed 1",
            .serve: "→ serving 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
        ],
        .busy: [
            .write: "done 1 → serving 1", .current: "done 1 → serving 1",
            .older: "elsewhere 1 → serving 1", .later: "overtaken → serving 1",
            .wait: "told serves → serving 1", .seal: "→ sealed 1",
            .serve: "→ sealed 5", .close: "→ elsewhere -", .closeFor: "→ elsewhere 8",
            .leave: "→ serving 1",
        ],
        .draining: [
            .write: "wait → sealed 1", .current: "wait → sealed 1",
            .older: "elsewhere 1 → sealed 1", .later: "overtaken → sealed 1",
            .wait: "queued → sealed 1", .seal: "→ sealed 1", .serve: "→ sealed 5",
            .close: "waiter elsewhere - → elsewhere -",
            .closeFor: "waiter elsewhere 8 → elsewhere 8", .leave: "drained → sealed 1",
        ],
        .sealed: [
            .write: "wait → sealed 1", .current: "wait → sealed 1",
            .older: "elsewhere 1 → sealed 1", .later: "overtaken → sealed 1",
            .wait: "queued → sealed 1", .seal: "drained again → sealed 1",
            .serve: "waiter serves → serving 5",
            .close: "waiter elsewhere - → elsewhere -",
            .closeFor: "waiter elsewhere 8 → elsewhere 8",
        ],
        .opening: [
            .write: "wait → sealed 3", .current: "wait → sealed 3",
            .older: "elsewhere 3 → sealed 3", .later: "overtaken → sealed 3",
            .wait: "queued → sealed 3", .seal: "→ sealed 3", .serve: "→ sealed 5",
            .close: "waiter elsewhere - → elsewhere -",
            .closeFor: "waiter elsewhere 8 → elsewhere 8",
            .leave: "drained, waiter serves → serving 3",
        ],
    ]

    @Test(arguments: Situation.allCases, Event.allCases)
    func `each event in each state does what the table says`(
        situation: Situation, event: Event
    ) throws {
        guard event != .leave || situation.hasWriter else { return }
        let journal = Journal()
        let (gate, entry) = try Self.makeGate(situation, journal)
        #expect(journal.take() == (situation == .sealed ? ["drained"] : []))
        try Self.cause(event, gate, knowing: entry, journal)
        let called = journal.take().joined(separator: ", ")
        let observed = "\(called) → \(Self.text(gate.state))"
        let expected = try #require(Self.table[situation]?[event])
        #expect(observed == (expected.hasPrefix("→") ? " " + expected : expected))
    }

    @Test func `who waits for writers to leave is called before the next entry is served`() throws {
        let journal = Journal()
        let entries = try Entries()
        let (gate, _) = try Self.makeGate(.opening, journal)
        // The last word counts: it is not to be served after all.
        gate.seal { journal.note("drained again") }
        gate.leave()
        #expect(journal.take() == ["drained", "drained again"])
        #expect(gate.state == .sealed(entries.aborted))
        gate.serve(entries.later)
        #expect(journal.take() == ["waiter serves"])
        #expect(gate.state == .serving(entries.later))
    }

    @Test func `what is called back may use the gate`() throws {
        let journal = Journal()
        let entries = try Entries()
        let gate = PartitionGate()
        gate.serve(entries.first)
        gate.seal {
            journal.note(Self.text(gate.state))
            gate.serve(entries.aborted)
            // It is still not served: this call has not ended.
            journal.note(Self.text(gate.perform { $0 }))
            _ = gate.wait { resumption in
                journal.note(Self.text(resumption))
                journal.note(Self.text(gate.perform(checking: 3) { $0 }))
                gate.seal { journal.note("drained") }
            }
        }
        #expect(journal.take() == ["sealed 1", "wait", "serves", "done 3", "drained"])
        #expect(gate.state == .sealed(entries.aborted))
    }

    @Test func `a writer keeps its fencing epoch until it leaves`() throws {
        let entries = try Entries()
        let gate = PartitionGate()
        gate.serve(entries.first)
        let outcome = gate.perform { epoch in
            gate.serve(entries.aborted)
            return gate.state == .sealed(entries.aborted) ? epoch : 0
        }
        #expect(Self.text(outcome) == "done 1")
        #expect(Self.text(gate.perform { $0 }) == "done 3")
    }

    @Test func `a write that throws leaves`() throws {
        struct Failure: Error, Equatable {}
        let journal = Journal()
        let gate = PartitionGate()
        gate.serve(try Entries().first)
        #expect(throws: Failure()) {
            _ = try gate.perform { (_) throws(Failure) -> Int in throw Failure() }
        }
        gate.seal { journal.note("drained") }
        #expect(journal.take() == ["drained"])
    }

    @Test func `reads go on while writes have stopped, and end with the partition`() throws {
        let entries = try Entries()
        let gate = PartitionGate()
        func read(_ body: () -> UInt64 = { 7 }) -> String { Self.text(gate.read(body)) }
        #expect(read() == "elsewhere -")
        gate.serve(entries.first)
        #expect(read() == "done 7")
        gate.seal {}
        #expect(read() == "done 7")
        // It is served again meanwhile, or belongs to another: whose rows went with it.
        #expect(
            read {
                gate.serve(entries.aborted)
                return 8
            } == "done 8")
        gate.seal {}
        #expect(
            read {
                gate.close(entries.last)
                return 9
            } == "elsewhere 8")
        #expect(read() == "elsewhere 8")
    }

    @Test func `what was read of another tenure does not count`() throws {
        let entries = try Entries()
        let gate = PartitionGate()
        gate.serve(entries.first)
        gate.seal {}
        let back = try OwnerEntry(.commit, of: entries.committed, to: "a")
        let outcome = gate.read {
            // The partition goes, and comes back.
            gate.close(entries.committed)
            gate.serve(back)
            return UInt64(7)
        }
        #expect(Self.text(outcome) == "wait")
    }

    @Test func `only so many writes wait`() throws {
        let journal = Journal()
        let gate = PartitionGate(waitingLimit: 2)
        gate.serve(try Entries().first)
        gate.seal {}
        let tickets = (0..<3).map { number in
            gate.wait { journal.note("\(number) \(Self.text($0))") }
        }
        #expect(journal.take() == ["2 too many"])
        #expect(tickets.map { $0 != nil } == [true, true, false])
        #expect(gate.waitingCount == 2)
        let first = try #require(tickets[0])
        #expect(gate.cancel(first))
        #expect(!gate.cancel(first))
        #expect(gate.wait { journal.note("3 \(Self.text($0))") } != nil)
        gate.close(nil)
        #expect(journal.take() == ["1 elsewhere -", "3 elsewhere -"])
        #expect(gate.waitingCount == 0)
        let second = try #require(tickets[1])
        #expect(!gate.cancel(second))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `writes are resumed in the order in which they came`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let journal = Journal()
        let gate = PartitionGate()
        gate.serve(try Entries().first)
        gate.seal {}
        var waiting: [(name: String, ticket: PartitionGate.Ticket)] = []
        for number in 0..<300 {
            if Int.random(in: 0..<3, using: &random) == 0, !waiting.isEmpty {
                let place = Int.random(in: 0..<waiting.count, using: &random)
                #expect(gate.cancel(waiting.remove(at: place).ticket))
            } else if let ticket = gate.wait({ _ in journal.note("\(number)") }) {
                waiting.append(("\(number)", ticket))
            }
        }
        #expect(gate.waitingCount == waiting.count)
        gate.serve(try Entries().aborted)
        #expect(journal.take() == waiting.map(\.name))
    }

    @Test func `a gate serves no entry twice, and none that is earlier`() async {
        await #expect(processExitsWith: .failure) {
            let gate = PartitionGate()
            let entry = try OwnerEntry(creating: "a")
            gate.serve(entry)
            gate.seal {}
            gate.serve(entry)
        }
        await #expect(processExitsWith: .failure) {
            let gate = PartitionGate()
            let entry = try OwnerEntry(creating: "a")
            gate.close(try OwnerEntry(.commit, of: entry, to: "b"))
            gate.close(nil)
            gate.serve(entry)
        }
    }

    @Test func `a delay is kept in nanoseconds`() {
        let gate = PartitionGate()
        #expect(gate.delay == .zero)
        gate.delay = .microseconds(17)
        #expect(gate.delay == .microseconds(17))
        gate.delay = .seconds(Int64.max)
        #expect(gate.delay == .nanoseconds(Int64.max))
    }
}
