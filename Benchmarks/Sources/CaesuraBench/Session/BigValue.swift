import Caesura
import CaesuraFormat

/// A row with a value of many megabytes.
struct BigValue: Sendable {
    var number: UInt32
    var content: [UInt8]
}

extension BigValue: SchemaStruct {
    struct Stored: BitwiseCopyable, Sendable {
        var number: UInt32.Stored
        var content: [UInt8].Stored
    }
    static let schema = Schema(
        name: "bigValue",
        fields: [
            Field(number: 1, name: "number", type: UInt32.fieldType),
            Field(number: 2, name: "content", type: [UInt8].fieldType),
        ])
    static var isInline: Bool { false }
    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        UInt32.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.number)!, in: &layout)
        [UInt8].describe(
            at: offset + MemoryLayout<Stored>.offset(of: \Stored.content)!, in: &layout)
    }
    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        [UInt8].heapByteCount(of: value.content, upTo: limit)
    }
    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        Stored(
            number: UInt32.place(value.number, in: &heap),
            content: [UInt8].place(value.content, in: &heap))
    }
    static func load(_ stored: Stored, from heap: HeapView) -> Self {
        Self(
            number: UInt32.load(stored.number, from: heap),
            content: [UInt8].load(stored.content, from: heap))
    }
    static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        [UInt8].discard(stored.content, from: &heap)
    }
    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues) {
        [UInt8].stage(value.content, upTo: limit, in: &staged)
    }
    static func value(of value: Self) -> Value {
        .structure([UInt32.value(of: value.number), [UInt8].value(of: value.content)])
    }
    struct Reader: RowReading, ~Copyable {
        let row: RowView
        init(_ row: RowView) { self.row = row }
        var number: UInt32 {
            UInt32.load(row.stored(as: Stored.self).pointee.number, from: row.heap)
        }
        var content: [UInt8] {
            [UInt8].load(row.stored(as: Stored.self).pointee.content, from: row.heap)
        }
    }
    struct Editor: RowEditing, ~Copyable {
        var cursor: RowCursor
        init(_ cursor: RowCursor) { self.cursor = cursor }
        var number: UInt32 {
            get {
                UInt32.load(cursor.stored(as: Stored.self).pointee.number, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                UInt32.discard(stored.pointee.number, from: &cursor.heap)
                stored.pointee.number = UInt32.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 0)
            }
        }
        var content: [UInt8] {
            get {
                [UInt8].load(cursor.stored(as: Stored.self).pointee.content, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                [UInt8].discard(stored.pointee.content, from: &cursor.heap)
                stored.pointee.content = [UInt8].place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 1)
            }
        }
    }
}
