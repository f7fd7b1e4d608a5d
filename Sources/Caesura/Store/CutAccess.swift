import Synchronization

/// Whether a cut is read, and whether it still may be.
///
///     bit 0      cancelled: it keeps too much memory
///     bit 1      closed by its holder
///     bits 2-    readers
///
/// Either bit admits no more readers and lets those inside finish; when the last has left, the cut is
/// gone: writers stop copying for it.
final class CutAccess: Sendable {
    let epoch: UInt64
    /// What the cut sees: everything, or rows.
    let part: StorePart
    /// Whether who closes the cut frees what it kept, or leaves that to who has time.
    let isFreedAtOnce: Bool
    private let state = Atomic<Int>(0)

    private static let cancelled = 1
    private static let closed = 2
    private static let reader = 4

    /// - Parameter part: What is to be read from it.
    init(epoch: UInt64, of part: StorePart) {
        self.epoch = epoch
        // Logs and cells are protected with everything.
        self.part = part.hasLogs ? .all : part
        isFreedAtOnce = part == .all
    }

    private static func isGone(_ state: Int) -> Bool { state != 0 && state < reader }

    /// Whether nobody reads the cut and nobody will.
    var isGone: Bool { Self.isGone(state.load(ordering: .acquiring)) }

    var isCancelled: Bool { state.load(ordering: .acquiring) & Self.cancelled != 0 }

    func cancel() { state.bitwiseOr(Self.cancelled, ordering: .acquiringAndReleasing) }

    /// Closes the cut; whether it is gone by that.
    func close() -> Bool {
        Self.isGone(
            state.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing).newValue)
    }

    /// Whether the holder has closed the cut.
    var isClosed: Bool { state.load(ordering: .acquiring) & Self.closed != 0 }

    /// Admits a reader, unless the cut is cancelled or closed.
    func enter() -> Bool {
        state.add(Self.reader, ordering: .acquiringAndReleasing).oldValue & 3 == 0
    }

    /// Lets a reader go (also one that was not admitted); whether the cut is gone by that.
    func leave() -> Bool {
        Self.isGone(
            state.subtract(Self.reader, ordering: .acquiringAndReleasing).newValue)
    }
}
