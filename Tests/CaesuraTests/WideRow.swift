import Caesura
import CaesuraFormat

/// A row of 70 strings: more than a page holds when each has a kilobyte.
struct WideRow: SchemaStruct, Equatable {
    static let count = 70
    var texts: [String]

    init(_ texts: [String]) {
        precondition(texts.count == Self.count)
        self.texts = texts
    }

    init(repeating text: String) { self.init(Array(repeating: text, count: Self.count)) }

    struct Stored: BitwiseCopyable, Sendable {
        var texts: InlineArray<70, HeapReference>
    }

    static let schema = Schema(
        name: "wide",
        fields: (1...70).map { Field(number: $0, name: "text\($0)", type: .string) })
    static var isInline: Bool { false }

    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        for index in 0..<count { String.describe(at: offset + 4 * index, in: &layout) }
    }

    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        value.texts.reduce(0) { $0 + String.heapByteCount(of: $1, upTo: limit) }
    }

    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        var stored = Stored(texts: InlineArray(repeating: HeapReference()))
        for index in 0..<count { stored.texts[index] = String.place(value.texts[index], in: &heap) }
        return stored
    }

    static func heapByteCount(
        of value: Self, replacing stored: Stored, upTo limit: Int
    ) -> Int {
        value.texts.indices.reduce(0) {
            $0
                + String.heapByteCount(
                    of: value.texts[$1], replacing: stored.texts[$1], upTo: limit)
        }
    }

    static func replace(_ stored: inout Stored, with value: Self, in heap: inout HeapWriter) {
        for index in 0..<count {
            String.replace(&stored.texts[index], with: value.texts[index], in: &heap)
        }
    }

    static func load(_ stored: Stored, from heap: HeapView) -> Self {
        Self((0..<count).map { String.load(stored.texts[$0], from: heap) })
    }

    static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        for index in 0..<count { String.discard(stored.texts[index], from: &heap) }
    }

    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues) {
        for text in value.texts { String.stage(text, upTo: limit, in: &staged) }
    }

    static func value(of value: Self) -> Value { .structure(value.texts.map { .string($0) }) }

    struct Reader: RowReading, ~Copyable {
        init(_ row: RowView) {}
    }

    struct Editor: RowEditing, ~Copyable {
        var cursor: RowCursor
        init(_ cursor: consuming RowCursor) { self.cursor = cursor }

        subscript(index: Int) -> String {
            get {
                unsafe String.load(
                    cursor.stored(as: Stored.self).pointee.texts[index], from: cursor.heap.view)
            }
            set {
                unsafe cursor.reserve(
                    for: newValue, replacing: cursor.stored(as: Stored.self).pointee.texts[index])
                let stored = unsafe cursor.stored(as: Stored.self)
                unsafe String.replace(
                    &stored.pointee.texts[index], with: newValue, in: &cursor.heap)
                cursor.markChanged(field: index)
            }
        }
    }
}
