internal import Caesura
import Synchronization

/// A cut with several owners: it is closed when the last lets it go.
final class HeldCut: Sendable {
    let cut: Cut
    private let owners = Mutex(1)

    /// Takes over a cut, for one owner.
    init(_ cut: Cut) { self.cut = cut }

    /// Adds an owner.
    func hold() { owners.withLock { $0 += 1 } }

    /// Takes an owner away.
    func release() {
        let isLast = owners.withLock { owners in
            owners -= 1
            return owners == 0
        }
        if isLast { cut.close() }
    }
}
