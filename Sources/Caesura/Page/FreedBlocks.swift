/// Pages and nodes that nobody sees any more: a list through ``Retirable/next``.
///
/// Collected without a lock, so that giving thousands of them back holds the pool's lock for a few at a time.
@safe
struct FreedBlocks: ~Copyable {
    private var first: UnsafeMutableRawPointer?
    /// The bytes that were counted as kept for these blocks, large values included.
    private(set) var byteCount = 0

    init() { unsafe first = nil }

    /// Adds a page or a node, or frees a large value.
    mutating func append(_ block: UnsafeMutableRawPointer) {
        let retirable = unsafe block.assumingMemoryBound(to: Retirable.self)
        if unsafe retirable.pointee.kind == .largeValue {
            let value = unsafe LargeValue(base: block)
            byteCount += value.footprint
            value.deallocate()
            return
        }
        byteCount += unsafe Retirable.byteCount(of: block)
        unsafe retirable.pointee.next = unsafe first
        unsafe first = unsafe block
    }

    /// Takes a block out.
    mutating func popFirst() -> (block: UnsafeMutableRawPointer, byteCount: Int)? {
        guard let block = unsafe first else { return nil }
        unsafe first = unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next
        return unsafe (block, Retirable.byteCount(of: block))
    }
}
