import Caesura
public import CaesuraMigration
import Synchronization

/// Lets the writes of one partition begin, wait, or go elsewhere: `docs/MIGRATION.md` sections 4 and 5.
///
///     switch gate.perform(checking: request.fencingEpoch, { epoch in table.update(key, change) }) {
///     case .done(let result):     // answer
///     case .wait:                 // gate.wait { … }, or answer that the sender is to try again
///     case .elsewhere(let entry): // answer with the entry
///     case .overtaken:            // gate.close(nil), and read the register
///     }
///
///     elsewhere ─ serve ─► serving ─ seal ─► sealed       writes queue
///         ▲                   │  ▲ ─ serve ─── │
///         └────── close ──────┴────────────────┘
///
/// A writer that is inside has the gate's word that no other entry is served until it leaves: an entry that is to be
/// served meanwhile waits for that. One atomic word says whether writes may begin, and how many are inside:
///
///     bit 63   barred: no write begins
///     bits 0-  writers inside, and those that have just found it barred and are on their way out
///
/// Writers come from any number of threads. Who seals, serves and closes is one thread at a time. Nothing is called with a
/// lock held.
public final class PartitionGate: Sendable {
    /// What becomes of writes.
    public enum State: Hashable, Sendable {
        /// They begin, under an entry that this node has appended.
        case serving(OwnerEntry)
        /// They wait, until it is known who owns the partition. The entry is the last under which they began, or the one
        /// under which they will once nobody is inside.
        case sealed(OwnerEntry)
        /// They belong to another node; nil where it is not known to whom.
        case elsewhere(OwnerEntry?)
    }

    /// What became of a write.
    public enum Outcome<Value> {
        /// It was done, with this result.
        case done(Value)
        /// Nothing was done: the gate is sealed. ``PartitionGate/wait(_:)`` tells when to try again.
        case wait
        /// Nothing was done: this entry counts, as far as this node knows, and the sender knows an earlier one or
        /// came to the wrong node.
        case elsewhere(OwnerEntry?)
        /// Nothing was done: the sender knows a later entry than this node. Close the gate and read the register.
        case overtaken
    }

    /// What a write that waits is told.
    public enum Resumption: Hashable, Sendable {
        /// Try again. It may have to wait again if the gate was sealed again meanwhile.
        case serves
        /// The partition is another node's; nil where it is not known whose.
        case elsewhere(OwnerEntry?)
        /// As many wait already as may.
        case tooMany
    }

    /// A place in the queue.
    public struct Ticket: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    /// What is behind the word, under a lock.
    private struct Control {
        var state = State.elsewhere(nil)
        /// The latest fencing epoch that the gate was given.
        var latest: UInt64 = 0
        /// Of a sealed gate: whether its entry is served once nobody is inside.
        var opens = false
        /// Whom to call when nobody is inside.
        var whenDrained: [@Sendable () -> Void] = []
        /// Whether some of them are being called.
        var isCalling = false
        /// Who waits, by the number of the ticket; numbers ascend.
        var waiters: [UInt64: @Sendable (Resumption) -> Void] = [:]
        var lastTicket: UInt64 = 0

        /// Takes all who wait out, in the order in which they came.
        mutating func takeWaiters() -> [@Sendable (Resumption) -> Void] {
            defer { waiters = [:] }
            return waiters.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    /// Writes that may wait unless told otherwise.
    ///
    /// A blackout of 1 ms, which is the budget of a move, at 1M writes a second to one partition makes 1,000 of them; four times
    /// as many are some hundred KiB.
    public static let waitingLimit = 4_096

    private let word = Atomic<UInt64>(PartitionGate.barred)
    /// The fencing epoch of the entry that is served; it changes while the gate is barred and nobody is inside.
    private let fencingEpoch = Atomic<UInt64>(0)
    private let delayNanoseconds = Atomic<Int64>(0)
    private let waitingLimit: Int
    private let control = Guarded(Control())

    private static let barred: UInt64 = 1 << 63

    /// Creates a gate that serves nothing yet, and does not know who does.
    ///
    /// - Parameter waitingLimit: How many writes may wait.
    public init(waitingLimit: Int = PartitionGate.waitingLimit) {
        precondition(waitingLimit >= 0, "a queue of \(waitingLimit) writes")
        self.waitingLimit = waitingLimit
    }

    // MARK: Writes

    /// Lets a write begin, or not.
    ///
    /// - Complexity: One atomic addition; no lock, and nothing is allocated.
    /// - Returns: The fencing epoch under which it runs, and ``leave()`` has to be called; or nil, and not.
    public func enter() -> UInt64? {
        // Looking first keeps those who come to a barred gate from delaying the moment when nobody is inside.
        guard word.load(ordering: .relaxed) & Self.barred == 0 else { return nil }
        if word.wrappingAdd(1, ordering: .acquiring).oldValue & Self.barred == 0 {
            return fencingEpoch.load(ordering: .relaxed)
        }
        leave()
        return nil
    }

    /// Ends a write that has begun.
    ///
    /// The last to leave a barred gate does what waited for that, so it may run what others have handed to
    /// ``seal(whenDrained:)`` and ``wait(_:)``.
    public func leave() {
        let word = word.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        assert(word & ~Self.barred != ~Self.barred, "who leaves has entered")
        if word == Self.barred { settle() }
    }

    /// Does a write, if this node serves the partition.
    ///
    /// - Parameters:
    ///   - known: The fencing epoch that the sender knows; nil to do without.
    ///   - body: What to do. It is given the fencing epoch under which it runs. It must not wait for the gate.
    /// - Complexity: That of `body`, and two atomic additions. Inlinable, because it is generic: 6 ns in another module, and
    ///   77 ns without.
    /// - Returns: What `body` returns, or why it did not run.
    /// - Throws: What `body` throws.
    @inlinable public func perform<Value, Failure: Error>(
        checking known: UInt64? = nil, _ body: (UInt64) throws(Failure) -> Value
    ) throws(Failure) -> Outcome<Value> {
        guard let epoch = enter() else { return refuse(known) }
        defer { leave() }
        guard known == nil || known == epoch else { return refuse(known) }
        return .done(try body(epoch))
    }

    /// Reads, if this node serves the partition, or its writes have only stopped.
    ///
    /// While they have stopped, another node may own the partition already and have changed what is read: that is seen here
    /// once this node learns of it, about a round trip later. Who must not miss that reads as writes are done.
    ///
    /// - Complexity: That of `body`, and two atomic additions; a lock while writes have stopped.
    /// - Returns: What `body` returns, or why it did not run or was in vain.
    @inlinable public func read<Value>(_ body: () -> Value) -> Outcome<Value> {
        if enter() != nil {
            defer { leave() }
            return .done(body())
        }
        guard case .sealed(let before) = state else { return refuse(nil) }
        let value = body()
        // The rows are taken out once it is known who else has them.
        switch state {
        case .serving(let after) where after.tenure == before.tenure: return .done(value)
        case .sealed(let after) where after.tenure == before.tenure: return .done(value)
        case .serving, .sealed, .elsewhere: return refuse(nil)
        }
    }

    /// Why a write did not run.
    @usableFromInline func refuse<Value>(_ known: UInt64?) -> Outcome<Value> {
        let state = self.state
        let last =
            switch state {
            case .serving(let entry), .sealed(let entry): Optional(entry)
            case .elsewhere(let entry): entry
            }
        if let known, let last {
            if known > last.fencingEpoch { return .overtaken }
            if known < last.fencingEpoch { return .elsewhere(last) }
        }
        // One that serves was sealed a moment ago.
        if case .elsewhere = state { return .elsewhere(last) }
        return .wait
    }

    // MARK: Waiting

    /// Waits for the gate to be served or closed.
    ///
    /// There is no timer: who has a deadline calls ``cancel(_:)``. A write that has waited is tried again without its sender's
    /// fencing epoch, for that was right when it came, and the gate may serve a later entry now.
    ///
    /// - Parameter resume: Is called once, unless ``cancel(_:)`` returns true: at once if the gate is not sealed or too many
    ///   wait, or else by who serves or closes the gate, or the last to leave it, in the order in which they came. Keep it
    ///   short: the others wait behind it.
    /// - Returns: The place in the queue; nil if `resume` has been called.
    public func wait(_ resume: @escaping @Sendable (Resumption) -> Void) -> Ticket? {
        let (ticket, resumption) = control.withLock { control -> (Ticket?, Resumption) in
            switch control.state {
            case .serving: return (nil, .serves)
            case .elsewhere(let entry): return (nil, .elsewhere(entry))
            case .sealed:
                guard control.waiters.count < waitingLimit else { return (nil, .tooMany) }
                control.lastTicket += 1
                control.waiters[control.lastTicket] = resume
                return (Ticket(number: control.lastTicket), .serves)
            }
        }
        if ticket == nil { resume(resumption) }
        return ticket
    }

    /// Takes a write out of the queue.
    ///
    /// - Returns: Whether it was in it: then it will not be resumed. Otherwise it was, or is being.
    @discardableResult public func cancel(_ ticket: Ticket) -> Bool {
        control.withLock { $0.waiters.removeValue(forKey: ticket.number) != nil }
    }

    /// The number of writes that wait.
    public var waitingCount: Int { control.withLock { $0.waiters.count } }

    /// How long each write is to wait before it begins: the policy *slow* of a move.
    ///
    /// The gate only keeps it; ``perform(checking:until:_:)`` goes by it. In nanoseconds, at most 292 years.
    public var delay: Duration {
        get { .nanoseconds(delayNanoseconds.load(ordering: .relaxed)) }
        set {
            precondition(newValue >= .zero, "a delay of \(newValue)")
            delayNanoseconds.store(
                Int64(clamping: newValue.attoseconds / 1_000_000_000), ordering: .relaxed)
        }
    }

    // MARK: Who owns the partition

    /// What becomes of writes now.
    public var state: State { control.withLock { $0.state } }

    /// Lets no more writes begin: those that come wait.
    ///
    /// Of a partition that is elsewhere they do not wait, but `whenDrained` is called all the same.
    ///
    /// - Parameter whenDrained: Is called once, when no write is inside: on this thread if none is, or else on that of the
    ///   last to leave. If the gate is to be served again meanwhile, that comes after it.
    public func seal(whenDrained: @escaping @Sendable () -> Void) {
        control.withLock { control in
            if case .serving(let entry) = control.state { control.state = .sealed(entry) }
            control.opens = false
            control.whenDrained.append(whenDrained)
            bar()
        }
        settle()
    }

    /// Lets writes begin under an entry that this node has appended, once all that began under another have left.
    ///
    /// Those that wait are resumed then.
    ///
    /// - Precondition: The entry is later than all that the gate has been given: who has stopped does not
    ///   serve again under the same one.
    public func serve(_ entry: OwnerEntry) {
        control.withLock { control in
            precondition(
                entry.fencingEpoch > control.latest,
                "a gate serves a later entry than it knows, and not that of fencing epoch "
                    + "\(entry.fencingEpoch) after \(control.latest)")
            control.latest = entry.fencingEpoch
            control.state = .sealed(entry)
            control.opens = true
            bar()
        }
        settle()
    }

    /// Lets no more writes begin: those that come or wait are told who owns the partition.
    ///
    /// Writes that are inside go on to their end: ``seal(whenDrained:)`` tells when.
    ///
    /// - Parameter entry: The entry that counts; nil if it is not known.
    public func close(_ entry: OwnerEntry?) {
        let waiters = control.withLock { control in
            control.state = .elsewhere(entry)
            control.latest = max(control.latest, entry?.fencingEpoch ?? 0)
            bar()
            return control.takeWaiters()
        }
        for resume in waiters { resume(.elsewhere(entry)) }
    }

    /// Lets no more writes begin; under the lock.
    private func bar() { word.bitwiseOr(Self.barred, ordering: .acquiringAndReleasing) }

    /// What can be done when nobody is inside.
    private enum Step {
        case call([@Sendable () -> Void])
        case resume([@Sendable (Resumption) -> Void])
    }

    /// Does what waits until nobody is inside, if nobody is.
    ///
    /// Whoever brings the word to where nobody is inside comes by here after that; so does whoever adds something to do. Who
    /// finds another one calling leaves the rest to it.
    private func settle() {
        while let step = nextStep() {
            switch step {
            case .call(let bodies):
                for body in bodies { body() }
                control.withLock { $0.isCalling = false }
            case .resume(let waiters):
                for resume in waiters { resume(.serves) }
            }
        }
    }

    private func nextStep() -> Step? {
        control.withLock { control in
            guard !control.isCalling, word.load(ordering: .acquiring) == Self.barred else {
                return nil
            }
            if !control.whenDrained.isEmpty {
                control.isCalling = true
                defer { control.whenDrained = [] }
                return .call(control.whenDrained)
            }
            guard control.opens, case .sealed(let entry) = control.state else { return nil }
            control.state = .serving(entry)
            fencingEpoch.store(entry.fencingEpoch, ordering: .relaxed)
            word.bitwiseAnd(~Self.barred, ordering: .releasing)
            return .resume(control.takeWaiters())
        }
    }
}

extension PartitionGate.Outcome: Sendable where Value: Sendable {}
