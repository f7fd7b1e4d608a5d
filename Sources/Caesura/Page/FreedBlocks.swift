/// Blocks that nobody sees any more, sorted by size class: a chain each, through ``Retirable/next``.
///
/// Collected without a lock, so that giving thousands of pages back holds the pool's lock once.
@safe
struct FreedBlocks: ~Copyable {
    @safe
    private struct Chain {
        var first: UnsafeMutableRawPointer?
        var last: UnsafeMutableRawPointer?
        var count = 0
    }

    private var chains = [Chain](repeating: Chain(), count: PagePool.classCount)
    /// The bytes that were counted as kept for these blocks, large values included.
    private(set) var byteCount = 0

    /// Adds a page or a node, or frees a large value.
    mutating func append(_ block: UnsafeMutableRawPointer) {
        switch unsafe block.assumingMemoryBound(to: Retirable.self).pointee.kind {
        case .page:
            let header = unsafe Page(base: block).header.pointee
            byteCount += Int(header.blockSize)
            unsafe append(block, sizeClass: Int(header.sizeClass))
        case .node:
            byteCount += DirectoryNode.byteCount
            unsafe append(
                block, sizeClass: PagePool.sizeClass(atLeast: DirectoryNode.byteCount).index)
        case .largeValue:
            let value = unsafe LargeValue(base: block)
            byteCount += value.footprint
            value.deallocate()
        }
    }

    private mutating func append(_ block: UnsafeMutableRawPointer, sizeClass: Int) {
        unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next =
            unsafe chains[sizeClass].first
        unsafe chains[sizeClass].first = unsafe block
        if unsafe chains[sizeClass].last == nil { unsafe chains[sizeClass].last = unsafe block }
        chains[sizeClass].count += 1
    }

    /// Calls `body` with the chain of each class that has one.
    func forEachChain(
        _ body: (
            _ sizeClass: Int, _ first: UnsafeMutableRawPointer, _ last: UnsafeMutableRawPointer,
            _ count: Int
        ) -> Void
    ) {
        for index in chains.indices {
            guard let first = unsafe chains[index].first, let last = unsafe chains[index].last
            else { continue }
            unsafe body(index, first, last, chains[index].count)
        }
    }
}
