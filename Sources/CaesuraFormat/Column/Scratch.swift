/// Memory that an encoder or a decoder keeps between columns.
///
/// What it holds is lost at each `reserve`. Behind what was asked for there are
/// ``ColumnBuffer/padding`` spare bytes, as behind every buffer of this module.
@safe
struct Scratch: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity = 0

    init() {
        unsafe base = .allocate(byteCount: ColumnBuffer.padding, alignment: 64)
    }

    deinit { unsafe base.deallocate() }

    /// Memory for `count` values of unspecified content, valid until the next call.
    mutating func reserve<Element: BitwiseCopyable>(
        _ count: Int, of type: Element.Type
    ) -> UnsafeMutablePointer<Element> {
        let needed = count * MemoryLayout<Element>.stride
        if needed > capacity {
            capacity = max(needed, capacity * 2)
            unsafe base.deallocate()
            unsafe base = .allocate(byteCount: capacity + ColumnBuffer.padding, alignment: 64)
        }
        return unsafe base.assumingMemoryBound(to: Element.self)
    }
}
