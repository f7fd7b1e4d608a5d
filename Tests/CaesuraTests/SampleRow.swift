import Caesura
import CaesuraFormat

struct SampleRow: SchemaStruct, Equatable {
    var user: UInt64
    var token: String
    var visits: UInt32
    var note: String?

    struct Stored: BitwiseCopyable, Sendable {
        var user: UInt64.Stored
        var visits: UInt32.Stored
        var token: String.Stored
        var note: String?.Stored
    }
    static var schema: Schema {
        Schema(
            name: "sample",
            fields: [
                Field(number: 1, name: "user", type: UInt64.fieldType),
                Field(number: 2, name: "token", type: String.fieldType),
                Field(number: 3, name: "visits", type: UInt32.fieldType),
                Field(number: 4, name: "note", type: String?.fieldType),
            ])
    }
    static var isInline: Bool { false }
    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        UInt64.describe(at: offset + MemoryLayout<Stored>.offset(of: \.user)!, in: &layout)
        String.describe(at: offset + MemoryLayout<Stored>.offset(of: \.token)!, in: &layout)
        UInt32.describe(at: offset + MemoryLayout<Stored>.offset(of: \.visits)!, in: &layout)
        String?.describe(at: offset + MemoryLayout<Stored>.offset(of: \.note)!, in: &layout)
    }
    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        String.heapByteCount(of: value.token, upTo: limit)
            + String?.heapByteCount(of: value.note, upTo: limit)
    }
    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        Stored(
            user: UInt64.place(value.user, in: &heap),
            visits: UInt32.place(value.visits, in: &heap),
            token: String.place(value.token, in: &heap), note: String?.place(value.note, in: &heap))
    }
    static func load(_ stored: Stored, from heap: HeapView) -> Self {
        Self(
            user: UInt64.load(stored.user, from: heap),
            token: String.load(stored.token, from: heap),
            visits: UInt32.load(stored.visits, from: heap),
            note: String?.load(stored.note, from: heap))
    }
    static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        String.discard(stored.token, from: &heap)
        String?.discard(stored.note, from: &heap)
    }
    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues) {
        String.stage(value.token, upTo: limit, in: &staged)
        String?.stage(value.note, upTo: limit, in: &staged)
    }
    static func value(of value: Self) -> Value {
        .structure([
            UInt64.value(of: value.user), String.value(of: value.token),
            UInt32.value(of: value.visits), String?.value(of: value.note),
        ])
    }
    struct Reader: RowReading, ~Copyable {
        let view: RowView
        init(_ row: RowView) { view = row }
        var user: UInt64 {
            UInt64.load(view.stored(as: Stored.self).pointee.user, from: view.heap)
        }
        var visits: UInt32 {
            UInt32.load(view.stored(as: Stored.self).pointee.visits, from: view.heap)
        }
    }
    struct Editor: RowEditing, ~Copyable {
        var cursor: RowCursor
        init(_ cursor: RowCursor) { self.cursor = cursor }
        var visits: UInt32 {
            get {
                UInt32.load(cursor.stored(as: Stored.self).pointee.visits, from: cursor.heap.view)
            }
            set {
                cursor.stored(as: Stored.self).pointee.visits = UInt32.place(
                    newValue, in: &cursor.heap)
                cursor.markChanged(field: 2)
            }
        }
        var token: String {
            get {
                String.load(cursor.stored(as: Stored.self).pointee.token, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                String.discard(stored.pointee.token, from: &cursor.heap)
                stored.pointee.token = String.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 1)
            }
        }
        var note: String? {
            get {
                String?.load(cursor.stored(as: Stored.self).pointee.note, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                String?.discard(stored.pointee.note, from: &cursor.heap)
                stored.pointee.note = String?.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 3)
            }
        }
    }
}
