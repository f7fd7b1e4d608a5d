package import Caesura

/// What a move leaves behind, and costs time to let go: some 2 us a page.
package enum Leftover {
    /// Rows that have gone.
    case rows(PartRemoval)
    /// The cut of a round that another has followed; writers have replaced pages that it sees. It closes when it is let go,
    /// unless an audit still reads it.
    case cut(Cut)

    /// Lets a piece of it go.
    ///
    /// - Returns: Whether there is more; the rest goes with the last reference.
    package func advance() -> Bool {
        switch self {
        case .rows(let removal): removal.advance()
        case .cut: false
        }
    }
}
