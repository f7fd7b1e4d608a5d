/// Large values that a writer copies before it takes a lock.
///
/// A copy is known by the address and the number of the bytes it was made of. Whoever stages values holds
/// them until the write is over, so that no other value can come to lie there.
public struct StagedValues: ~Copyable {
    @safe
    private struct Staged {
        let source: UnsafeRawPointer
        let copy: LargeValue
    }

    private var values: [Staged] = []

    /// Creates an empty list.
    public init() {}

    /// Copies those of the values, or of their parts, that have more than 1 KiB.
    @usableFromInline init(_ values: [any FieldValue]) {
        self.init()
        for value in values { stage(value) }
    }

    deinit {
        for value in values { value.copy.deallocate() }
    }

    private mutating func stage<Value: FieldValue>(_ value: Value) {
        Value.stage(value, upTo: Page.valueLimit, in: &self)
    }

    @usableFromInline mutating func append(copying bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        unsafe values.append(Staged(source: source, copy: LargeValue.make(copying: bytes)))
    }

    /// The copy of these bytes, which is given once, or nil when they were not staged.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> LargeValue? {
        let index = values.firstIndex {
            unsafe $0.source == bytes.baseAddress && $0.copy.byteCount == bytes.count
        }
        return index.map { values.remove(at: $0).copy }
    }
}
