public import Caesura
public import CaesuraFormat
public import CaesuraMigration
import Synchronization

/// Lets the writes of one partition begin, wait, or go elsewhere: `docs/MIGRATION.md` sections 4 and 5.
///
///     switch gate.perform(checking: request.fencingEpoch, { epoch in table.update(key, change) }) {
///     case .done(let result):     // answer
///     case .wait:                 // gate.wait { … }, or answer that the sender is to try again
///     case .elsewhere(let entry): // answer with the entry
///     case .overtaken:            // tell the node, which reads the register: Node.Event.overtaken
///     }
///
///     elsewhere ─ serve ─► serving ─ seal ─► sealed       writes queue
///         ▲                   │  ▲ ─ serve ─── │
///         └────── close ──────┴────────────────┘
///
/// While rows of the partition are still to come (the policy *postcopy*), a write begins if it says which rows it touches and
/// those are there; others queue until theirs are, or all.
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
        /// Nothing was done: the sender knows a later entry than this node, or has made it up. Tell the node, which reads the
        /// register (``Node/Event/overtaken(_:)``), and leave the gate as it is.
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
        var waiters: [UInt64: Waiter] = [:]
        var lastTicket: UInt64 = 0
        /// What is still to come of the partition; nil if nothing is.
        var absence: Absence?

        /// Takes all who wait out, in the order in which they came.
        mutating func takeWaiters() -> [@Sendable (Resumption) -> Void] {
            takeWaiters { _ in true }
        }

        /// Takes those out whose rows are there.
        mutating func takeReadyWaiters() -> [@Sendable (Resumption) -> Void] {
            guard let absence else { return takeWaiters() }
            return takeWaiters { !absence.delays($0.rows) }
        }

        private mutating func takeWaiters(
            where isReady: (Waiter) -> Bool
        ) -> [@Sendable (Resumption) -> Void] {
            let ready = waiters.filter { isReady($0.value) }.sorted { $0.key < $1.key }
            for (number, _) in ready { waiters[number] = nil }
            return ready.map(\.value.resume)
        }
    }

    /// A write that waits.
    private struct Waiter {
        /// The hashes of the rows that it touches; nil if it may touch any.
        let rows: [UInt64]?
        let resume: @Sendable (Resumption) -> Void
    }

    /// What is still to come of a partition.
    private struct Absence {
        var slices: Set<HashRange>
        /// How many bits the hashes of a slice share.
        let bits: Set<Int>
        /// Is told of slices for which writes wait.
        let whenWanted: @Sendable (HashRange) -> Void

        /// The slice that is to come with the row of a hash.
        func slice(of hash: UInt64) -> HashRange? {
            for bits in bits {
                let slice = HashRange(bits: bits, of: hash)
                if slices.contains(slice) { return slice }
            }
            return nil
        }

        /// Whether a write has to wait.
        func delays(_ rows: [UInt64]?) -> Bool { rows?.contains { slice(of: $0) != nil } ?? true }
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
    /// Whether rows are still to come; it changes under the lock, and begins while the gate is barred.
    private let lacksRows = Atomic<Bool>(false)
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

    /// Lets a write begin that may touch all rows of the partition, or not.
    ///
    /// - Complexity: One atomic addition; no lock, and nothing is allocated.
    /// - Returns: The fencing epoch under which it runs, and ``leave()`` has to be called; or nil, and not.
    public func enter() -> UInt64? {
        // Looking first keeps those who come to a barred gate from delaying the moment when nobody is inside.
        guard word.load(ordering: .relaxed) & Self.barred == 0 else { return nil }
        if word.wrappingAdd(1, ordering: .acquiring).oldValue & Self.barred == 0,
            !lacksRows.load(ordering: .acquiring)
        {
            return fencingEpoch.load(ordering: .relaxed)
        }
        leave()
        return nil
    }

    /// Lets a write begin that touches these rows, if rows are still to come and these are there.
    @usableFromInline func enter(touching rows: [RowReference]) -> UInt64? {
        guard lacksRows.load(ordering: .acquiring) else { return nil }
        guard word.wrappingAdd(1, ordering: .acquiring).oldValue & Self.barred == 0 else {
            leave()
            return nil
        }
        let hashes = rows.map(\.keyHash)
        let isDelayed = control.withLock { $0.absence?.delays(hashes) ?? false }
        guard isDelayed else { return fencingEpoch.load(ordering: .relaxed) }
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
    ///   - rows: All rows that `body` touches; nil if it may touch any of the partition. Looked at only while rows are still to
    ///     come, which the policy *postcopy* leads to: then who says nothing waits for all.
    ///   - body: What to do. It is given the fencing epoch under which it runs. It must not wait for the gate.
    /// - Complexity: That of `body`, and two atomic additions. Inlinable, because it is generic: 6 ns in another module, and
    ///   77 ns without.
    /// - Returns: What `body` returns, or why it did not run.
    /// - Throws: What `body` throws.
    @inlinable public func perform<Value, Failure: Error>(
        checking known: UInt64? = nil, touching rows: [RowReference]? = nil,
        _ body: (UInt64) throws(Failure) -> Value
    ) throws(Failure) -> Outcome<Value> {
        guard let epoch = enter() ?? rows.flatMap({ enter(touching: $0) }) else {
            return refuse(known)
        }
        defer { leave() }
        guard known == nil || known == epoch else { return refuse(known) }
        return .done(try body(epoch))
    }

    /// Reads, if this node serves the partition, or its writes have only stopped.
    ///
    /// `rows` are those that are read, as in ``perform(checking:touching:_:)``.
    ///
    /// While they have stopped, another node may own the partition already and have changed what is read: that is seen here
    /// once this node learns of it, about a round trip later. Who must not miss that reads as writes are done.
    ///
    /// - Complexity: That of `body`, and two atomic additions; a lock while writes have stopped.
    /// - Returns: What `body` returns, or why it did not run or was in vain.
    @inlinable public func read<Value>(
        touching rows: [RowReference]? = nil, _ body: () -> Value
    ) -> Outcome<Value> {
        if (enter() ?? rows.flatMap { enter(touching: $0) }) != nil {
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
        // One that serves was sealed a moment ago, or rows are still to come.
        if case .elsewhere = state { return .elsewhere(last) }
        return .wait
    }

    // MARK: Waiting

    /// Waits for the gate to be served or closed.
    ///
    /// There is no timer: who has a deadline calls ``cancel(_:)``. A write that has waited is tried again without its sender's
    /// fencing epoch, for that was right when it came, and the gate may serve a later entry now.
    ///
    /// - Parameters:
    ///   - rows: As in ``perform(checking:touching:_:)``.
    ///   - resume: Is called once, unless ``cancel(_:)`` returns true: at once if the gate is not sealed or too many
    ///   wait, or else by who serves or closes the gate, or the last to leave it, in the order in which they came. Keep it
    ///   short: the others wait behind it.
    /// - Returns: The place in the queue; nil if `resume` has been called.
    public func wait(
        touching rows: [RowReference]? = nil, _ resume: @escaping @Sendable (Resumption) -> Void
    ) -> Ticket? {
        let hashes = rows?.map(\.keyHash)
        let (ticket, resumption) = control.withLock { control -> (Ticket?, Resumption) in
            switch control.state {
            case .elsewhere(let entry): return (nil, .elsewhere(entry))
            case .serving where control.absence?.delays(hashes) != true: return (nil, .serves)
            case .serving, .sealed:
                guard control.waiters.count < waitingLimit else { return (nil, .tooMany) }
                control.lastTicket += 1
                control.waiters[control.lastTicket] = Waiter(rows: hashes, resume: resume)
                return (Ticket(number: control.lastTicket), .serves)
            }
        }
        if ticket == nil { resume(resumption) } else { tellWanted(hashes ?? []) }
        return ticket
    }

    /// Tells of the slices that some rows are to come with.
    private func tellWanted(_ hashes: [UInt64]) {
        guard lacksRows.load(ordering: .acquiring), !hashes.isEmpty,
            let absence = control.withLock({ $0.absence })
        else { return }
        for hash in hashes { if let slice = absence.slice(of: hash) { absence.whenWanted(slice) } }
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
    /// The gate only keeps it; ``perform(checking:touching:until:_:)`` goes by it. In nanoseconds, at most 292 years.
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
    public func serve(_ entry: OwnerEntry) { serve(entry, lacking: nil) }

    /// Lets writes begin as ``serve(_:)`` does, but for those that touch rows which are still to come.
    ///
    /// - Parameters:
    ///   - slices: The hashes of these, until ``open(_:)``; all other rows are there, too, only once ``complete()`` is called.
    ///   - whenWanted: Is told of a slice when a write comes that waits for it: from the thread of the write, with no lock
    ///     held, and perhaps more than once.
    public func serve(
        _ entry: OwnerEntry, except slices: Set<HashRange>,
        whenWanted: @escaping @Sendable (HashRange) -> Void
    ) {
        serve(
            entry,
            lacking: Absence(
                slices: slices, bits: Set(slices.map(\.prefixBits)), whenWanted: whenWanted))
    }

    /// Lets writes begin that touch rows of a slice, which has come.
    public func open(_ slice: HashRange) {
        let ready = control.withLock { control in
            control.absence?.slices.remove(slice)
            if case .serving = control.state { return control.takeReadyWaiters() }
            return []
        }
        for resume in ready { resume(.serves) }
    }

    /// Lets all writes begin: no rows are still to come.
    public func complete() {
        let ready = control.withLock { control in
            forgetAbsence(&control)
            if case .serving = control.state { return control.takeWaiters() }
            return []
        }
        for resume in ready { resume(.serves) }
    }

    private func forgetAbsence(_ control: inout Control) {
        control.absence = nil
        lacksRows.store(false, ordering: .releasing)
    }

    private func serve(_ entry: OwnerEntry, lacking absence: Absence?) {
        control.withLock { control in
            precondition(
                entry.fencingEpoch > control.latest,
                "a gate serves a later entry than it knows, and not that of fencing epoch "
                    + "\(entry.fencingEpoch) after \(control.latest)")
            control.latest = entry.fencingEpoch
            control.state = .sealed(entry)
            control.opens = true
            bar()
            control.absence = absence
            lacksRows.store(absence != nil, ordering: .releasing)
        }
        settle()
        if absence == nil { return }
        // Who came before it was known what is still to come.
        let waiting = control.withLock { control in
            control.waiters.sorted { $0.key < $1.key }.flatMap { $0.value.rows ?? [] }
        }
        tellWanted(waiting)
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
            forgetAbsence(&control)
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
            return .resume(control.takeReadyWaiters())
        }
    }
}

extension PartitionGate.Outcome: Sendable where Value: Sendable {}
