/// The memory of one column: values of one leaf, dense, in row order.
///
///     .presence     values: one byte a value, 0 or 1
///     .fixed        values: `width` bytes a value, native endian, unaligned access allowed
///     .bytes        lengths: one UInt32 a value;  content: the bytes, one value after the other
///     .array        lengths: elements a value;    content: the elements, one array after the other
///
/// A scoped leaf holds values only for the rows its presence leaf marks, so its `count` is the number
/// of those. A value of a `.bytes` or `.array` leaf whose size in bytes exceeds
/// ``Limits/inlineValueBytes`` is *segmented*: `lengths` has its true length and `content` has nothing
/// of it; its bytes travel in segment chunks.
///
/// Filled by whoever gathers rows (pages, a decoder), read by whoever needs columns (an encoder, pages).
/// Buffers are kept between chunks, so a worker that encodes many chunks allocates only while it warms
/// up. Not thread-safe: one worker, one batch.
@safe
public final class ColumnBuffer {
    /// What the memory holds.
    public let kind: LeafColumn.Kind
    /// Bytes of one element: the scalar's width for `.fixed` and `.array`, otherwise 1.
    public let width: Int
    /// Number of values.
    public var count = 0
    /// The values of `.presence` and `.fixed`.
    ///
    /// Room for ``capacity`` of them.
    public private(set) var values: UnsafeMutableRawPointer
    /// The lengths of `.bytes` and `.array`.
    ///
    /// Room for ``capacity`` of them.
    public private(set) var lengths: UnsafeMutablePointer<UInt32>
    /// The content of `.bytes` and `.array`.
    ///
    /// Room for ``contentCapacity`` bytes.
    public private(set) var content: UnsafeMutableRawPointer
    /// Bytes of content in use.
    public var contentByteCount = 0
    /// Number of values there is room for.
    public private(set) var capacity = 0
    /// Bytes of content there is room for.
    public private(set) var contentCapacity = 0

    /// Spare bytes that every buffer has behind its capacity, so that kernels may load and store whole
    /// vectors at the end.
    public static let padding = 64

    /// Creates an empty buffer.
    public init(kind: LeafColumn.Kind) {
        self.kind = kind
        switch kind {
        case .fixed(let scalar), .array(let scalar): width = scalar.width
        case .presence, .bytes: width = 1
        }
        unsafe values = .allocate(byteCount: Self.padding, alignment: 64)
        unsafe lengths = UnsafeMutableRawPointer.allocate(byteCount: Self.padding, alignment: 64)
            .bindMemory(to: UInt32.self, capacity: Self.padding / 4)
        unsafe content = .allocate(byteCount: Self.padding, alignment: 64)
    }

    deinit {
        unsafe values.deallocate()
        unsafe UnsafeMutableRawPointer(lengths).deallocate()
        unsafe content.deallocate()
    }

    /// Makes room for `needed` values in all, keeping those in use.
    public func reserveCapacity(_ needed: Int) {
        guard needed > capacity else { return }
        let grown = max(needed, capacity * 2)
        switch kind {
        case .presence, .fixed:
            unsafe values = Self.grow(values, used: count * width, to: grown * width)
        case .bytes, .array:
            unsafe lengths = Self.grow(
                UnsafeMutableRawPointer(lengths), used: count * 4, to: grown * 4
            )
            .bindMemory(to: UInt32.self, capacity: grown)
        }
        capacity = grown
    }

    /// Makes room for `needed` bytes of content in all, keeping those in use.
    public func reserveContent(_ needed: Int) {
        guard needed > contentCapacity else { return }
        let grown = max(needed, contentCapacity * 2)
        unsafe content = Self.grow(content, used: contentByteCount, to: grown)
        contentCapacity = grown
    }

    /// Appends a value of `.bytes` or `.array` that the column holds itself.
    public func append(_ bytes: UnsafeRawPointer, byteCount: Int) {
        reserveCapacity(count + 1)
        reserveContent(contentByteCount + byteCount)
        // SAFETY: room was made for one more length and for the bytes.
        unsafe lengths[count] = UInt32(byteCount / width)
        unsafe (content + contentByteCount).copyMemory(from: bytes, byteCount: byteCount)
        count += 1
        contentByteCount += byteCount
    }

    /// Appends a value of `.bytes` or `.array` that travels in segments.
    public func appendSegmented(byteCount: Int) {
        precondition(
            byteCount > Limits.inlineValueBytes && byteCount <= Int(UInt32.max),
            "a value that is not segmented")
        reserveCapacity(count + 1)
        unsafe lengths[count] = UInt32(byteCount / width)
        count += 1
    }

    /// Takes over what another column of this kind holds; that one then has this one's.
    package func takeContents(of other: ColumnBuffer) {
        precondition(other.kind == kind, "a column of another kind")
        unsafe swap(&values, &other.values)
        unsafe swap(&lengths, &other.lengths)
        unsafe swap(&content, &other.content)
        swap(&capacity, &other.capacity)
        swap(&contentCapacity, &other.contentCapacity)
        swap(&count, &other.count)
        swap(&contentByteCount, &other.contentByteCount)
    }

    /// Forgets the values and keeps the memory.
    public func removeAll() {
        count = 0
        contentByteCount = 0
    }

    private static func grow(
        _ old: UnsafeMutableRawPointer, used: Int, to size: Int
    ) -> UnsafeMutableRawPointer {
        let new = UnsafeMutableRawPointer.allocate(byteCount: size + padding, alignment: 64)
        // SAFETY: `used` bytes were written to `old`, and `size >= used`.
        unsafe new.copyMemory(from: old, byteCount: used)
        unsafe old.deallocate()
        return unsafe new
    }
}

/// The columns of some rows of one region, in hash order.
public final class ColumnBatch {
    /// The region's leaves; `columns` has one buffer for each.
    public let leaves: [LeafColumn]
    /// The memory, one buffer a leaf.
    public let columns: [ColumnBuffer]
    /// Number of rows.
    public var rowCount = 0

    /// Creates an empty batch for a region's leaves.
    public init(leaves: [LeafColumn]) {
        self.leaves = leaves
        columns = leaves.map { ColumnBuffer(kind: $0.kind) }
    }

    /// Forgets the rows and keeps the memory.
    public func removeAll() {
        rowCount = 0
        for column in columns { column.removeAll() }
    }
}
