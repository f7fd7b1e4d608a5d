internal import Caesura

/// The chain that the next delta would go on: its base, which is held open, and its file.
///
// SAFETY: `@unchecked Sendable`: used only between Repository.claim() and endCheckpoint().
final class OngoingChain: @unchecked Sendable {
    /// What the next delta builds on.
    struct Base {
        /// Frozen as it was saved.
        var held: HeldCut
        /// The epoch that it is saved under.
        var epoch: UInt64
        /// Its identity.
        var state: UInt64
        /// The names of its regions, in the order in which chunks number them.
        var regions: [String]
        /// When it was begun.
        var created: WallClock

        var cut: Cut { held.cut }
    }

    private(set) var base: Base?
    private var writer: ChainWriter?
    /// The full checkpoint that it began with.
    private var fullBytes = 0
    private var begun = ContinuousClock.now
    /// What has come since.
    private(set) var length = 0
    private(set) var deltaBytes = 0

    /// The base, if it is one of the same store as a cut.
    func base(for cut: Cut) -> Base? {
        guard let base, base.cut.isOfSameStore(as: cut), !base.cut.isCancelled else { return nil }
        return base
    }

    /// Whether the policy wants a full checkpoint.
    func isLongEnough(for policy: ChainPolicy) -> Bool {
        length >= policy.longest
            || Double(deltaBytes)
                > policy.deltaBytes * Double(max(fullBytes, ChainPolicy.leastFullBytes))
            || ContinuousClock.now - begun > policy.age
    }

    /// The writer of the next delta.
    func writer(in storage: any Storage) -> ChainWriter {
        let writer = writer ?? ChainWriter(storage: storage)
        self.writer = writer
        return writer
    }

    /// Notes a full checkpoint, from which the chain begins anew, or its length if it was there before.
    func begin(fullBytes: Int, length: Int = 0, deltaBytes: Int = 0) {
        writer = nil
        self.fullBytes = fullBytes
        self.length = length
        self.deltaBytes = deltaBytes
        begun = .now
    }

    /// Notes that a full checkpoint of one of its epochs has been made beside it.
    ///
    /// - Parameters:
    ///   - fullBytes: Bytes of it.
    ///   - length: How long the chain was up to that epoch.
    ///   - deltaBytes: Bytes of the deltas up to that epoch.
    func shorten(fullBytes: Int, length: Int, deltaBytes: Int) {
        self.fullBytes = fullBytes
        self.length = max(0, self.length - length)
        self.deltaBytes = max(0, self.deltaBytes - deltaBytes)
        begun = .now
        // The next delta begins a file, so that the present one can be removed with what came before.
        writer = nil
    }

    /// Notes a delta.
    func append(_ entry: ChainEntry) {
        length += 1
        deltaBytes += entry.length
    }

    /// Holds what the next delta builds on, in place of what was held.
    func hold(_ next: Base?) {
        base?.held.release()
        base = next
    }

    /// Forgets everything: the next checkpoint is full.
    func end() {
        hold(nil)
        writer = nil
    }
}

extension ChainPolicy {
    /// Below this, a full checkpoint is not taken for small: what a chain of that size costs when it is restored
    /// is less than what making files costs.
    static let leastFullBytes = 4 << 20
}
