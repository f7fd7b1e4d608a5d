import CaesuraFormat

/// One leaf on its way between the entries of pages and a column: where it lies in an entry, and the place
/// in the column that comes next.
///
/// Made once a chunk from the layout and the column, so that the loops over a page's rows neither count
/// references nor look at classes.
@safe
struct LeafCursor {
    /// How a value lies in an entry.
    enum Shape {
        /// The value itself, of so many bytes.
        case one, two, four, eight, sixteen
        /// A ``HeapReference``.
        case reference
    }

    let shape: Shape
    /// Bytes from the start of the entry.
    let offset: Int
    /// Where in the entry the byte lies that says whether there is a value, or nil.
    let presence: Int?
    /// An element of the content has 2 to this power bytes.
    let shift: Int
    var values: UnsafeMutableRawPointer
    var lengths: UnsafeMutablePointer<UInt32>
    var content: UnsafeMutableRawPointer

    /// A cursor at a place of a column: after so many values and bytes of content.
    init(
        _ leaf: RowLayout.Leaf, of layout: RowLayout, _ column: ColumnBuffer, after count: Int,
        _ contentByteCount: Int
    ) {
        shape =
            switch leaf.kind {
            case .presence: .one
            case .fixed(let scalar):
                switch scalar.width {
                case 1: .one
                case 2: .two
                case 4: .four
                case 8: .eight
                default: .sixteen
                }
            case .bytes, .array: .reference
            }
        offset = leaf.offset
        presence = leaf.scope.map { layout.leaves[$0].offset }
        shift = column.width.trailingZeroBitCount
        unsafe values = unsafe column.values + count * column.width
        unsafe lengths = unsafe column.lengths + (shape == .reference ? count : 0)
        unsafe content = unsafe column.content + contentByteCount
    }

    /// Tells the column how far it is filled.
    func settle(_ column: ColumnBuffer) {
        column.contentByteCount = unsafe content - column.content
        column.count =
            shape == .reference
            ? unsafe lengths - column.lengths
            : unsafe (values - column.values) / column.width
    }

    /// Whether the entry has a value for this leaf.
    @inline(__always)
    func isPresent(in entry: UnsafeRawPointer) -> Bool {
        guard let presence else { return true }
        return unsafe entry.load(fromByteOffset: presence, as: UInt8.self) != 0
    }
}
