/// The first bytes of everything that a cut may still see after a writer has replaced it: pages,
/// directory nodes, large values.
///
/// Born at `birth` and replaced at `retired`, it is seen by the cuts c with birth <= c < retired and by no
/// others. Cuts are only ever taken at the present epoch, so once none of those is open, none ever will
/// be, and the memory is free.
@safe
@usableFromInline
struct Retirable {
    /// What follows this header in memory, so that it can be freed.
    @usableFromInline
    enum Kind: UInt8 {
        case page, node, largeValue
    }

    /// The epoch in which it became reachable.
    @usableFromInline var birth: UInt64
    /// The epoch in which a writer replaced it; 0 while it is in use.
    @usableFromInline var retired: UInt64
    /// The next in a list of the retired or the free.
    @usableFromInline var next: UnsafeMutableRawPointer?
    @usableFromInline let kind: Kind

    @usableFromInline init(kind: Kind, birth: UInt64 = 0) {
        self.kind = kind
        self.birth = birth
        retired = 0
        unsafe next = nil
    }

    /// The bytes that a block takes up, which begins with this.
    static func byteCount(of block: UnsafeMutableRawPointer) -> Int {
        switch unsafe block.assumingMemoryBound(to: Retirable.self).pointee.kind {
        case .page: unsafe Int(Page(base: block).header.pointee.blockSize)
        case .node: unsafe DirectoryNode(base: block).blockSize
        case .largeValue: unsafe LargeValue(base: block).footprint
        }
    }
}
