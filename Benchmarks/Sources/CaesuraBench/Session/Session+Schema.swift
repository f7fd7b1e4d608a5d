import Caesura
import CaesuraFormat

// By hand what `@Schema` generates.

extension Session: SchemaStruct {
    struct Stored: BitwiseCopyable, Sendable {
        var user: UInt64.Stored
        var created: Int64.Stored
        var lastSeen: Int64.Stored
        var cart: Double.Stored
        var visits: UInt32.Stored
        var ip: UInt32.Stored
        var token: String.Stored
        var country: String.Stored
        var flags: UInt8.Stored
    }
    static let schema = Schema(
        name: "session",
        fields: [
            Field(number: 1, name: "user", type: UInt64.fieldType),
            Field(number: 2, name: "created", type: Int64.fieldType),
            Field(number: 3, name: "lastSeen", type: Int64.fieldType),
            Field(number: 4, name: "visits", type: UInt32.fieldType),
            Field(number: 5, name: "ip", type: UInt32.fieldType),
            Field(number: 6, name: "flags", type: UInt8.fieldType),
            Field(number: 7, name: "cart", type: Double.fieldType),
            Field(number: 8, name: "token", type: String.fieldType),
            Field(number: 9, name: "country", type: String.fieldType),
        ])
    static var isInline: Bool { false }
    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        UInt64.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.user)!, in: &layout)
        Int64.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.created)!, in: &layout)
        Int64.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.lastSeen)!, in: &layout)
        UInt32.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.visits)!, in: &layout)
        UInt32.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.ip)!, in: &layout)
        UInt8.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.flags)!, in: &layout)
        Double.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.cart)!, in: &layout)
        String.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.token)!, in: &layout)
        String.describe(at: offset + MemoryLayout<Stored>.offset(of: \Stored.country)!, in: &layout)
    }
    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        String.heapByteCount(of: value.token, upTo: limit)
            + String.heapByteCount(of: value.country, upTo: limit)
    }
    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        Stored(
            user: UInt64.place(value.user, in: &heap),
            created: Int64.place(value.created, in: &heap),
            lastSeen: Int64.place(value.lastSeen, in: &heap),
            cart: Double.place(value.cart, in: &heap),
            visits: UInt32.place(value.visits, in: &heap), ip: UInt32.place(value.ip, in: &heap),
            token: String.place(value.token, in: &heap),
            country: String.place(value.country, in: &heap),
            flags: UInt8.place(value.flags, in: &heap))
    }
    static func load(_ stored: Stored, from heap: HeapView) -> Self {
        Self(
            user: UInt64.load(stored.user, from: heap),
            created: Int64.load(stored.created, from: heap),
            lastSeen: Int64.load(stored.lastSeen, from: heap),
            visits: UInt32.load(stored.visits, from: heap), ip: UInt32.load(stored.ip, from: heap),
            flags: UInt8.load(stored.flags, from: heap), cart: Double.load(stored.cart, from: heap),
            token: String.load(stored.token, from: heap),
            country: String.load(stored.country, from: heap))
    }
    static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        String.discard(stored.token, from: &heap)
        String.discard(stored.country, from: &heap)
    }
    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues) {
        String.stage(value.token, upTo: limit, in: &staged)
        String.stage(value.country, upTo: limit, in: &staged)
    }
    static func value(of value: Self) -> Value {
        .structure([
            UInt64.value(of: value.user), Int64.value(of: value.created),
            Int64.value(of: value.lastSeen), UInt32.value(of: value.visits),
            UInt32.value(of: value.ip), UInt8.value(of: value.flags), Double.value(of: value.cart),
            String.value(of: value.token), String.value(of: value.country),
        ])
    }
    struct Reader: RowReading, ~Copyable {
        let row: RowView
        init(_ row: RowView) { self.row = row }
        var user: UInt64 { UInt64.load(row.stored(as: Stored.self).pointee.user, from: row.heap) }
        var created: Int64 {
            Int64.load(row.stored(as: Stored.self).pointee.created, from: row.heap)
        }
        var lastSeen: Int64 {
            Int64.load(row.stored(as: Stored.self).pointee.lastSeen, from: row.heap)
        }
        var visits: UInt32 {
            UInt32.load(row.stored(as: Stored.self).pointee.visits, from: row.heap)
        }
        var ip: UInt32 { UInt32.load(row.stored(as: Stored.self).pointee.ip, from: row.heap) }
        var flags: UInt8 { UInt8.load(row.stored(as: Stored.self).pointee.flags, from: row.heap) }
        var cart: Double { Double.load(row.stored(as: Stored.self).pointee.cart, from: row.heap) }
        var token: String { String.load(row.stored(as: Stored.self).pointee.token, from: row.heap) }
        var country: String {
            String.load(row.stored(as: Stored.self).pointee.country, from: row.heap)
        }
    }
    struct Editor: RowEditing, ~Copyable {
        var cursor: RowCursor
        init(_ cursor: RowCursor) { self.cursor = cursor }
        var user: UInt64 {
            get { UInt64.load(cursor.stored(as: Stored.self).pointee.user, from: cursor.heap.view) }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                UInt64.discard(stored.pointee.user, from: &cursor.heap)
                stored.pointee.user = UInt64.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 0)
            }
        }
        var created: Int64 {
            get {
                Int64.load(cursor.stored(as: Stored.self).pointee.created, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                Int64.discard(stored.pointee.created, from: &cursor.heap)
                stored.pointee.created = Int64.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 1)
            }
        }
        var lastSeen: Int64 {
            get {
                Int64.load(cursor.stored(as: Stored.self).pointee.lastSeen, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                Int64.discard(stored.pointee.lastSeen, from: &cursor.heap)
                stored.pointee.lastSeen = Int64.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 2)
            }
        }
        var visits: UInt32 {
            get {
                UInt32.load(cursor.stored(as: Stored.self).pointee.visits, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                UInt32.discard(stored.pointee.visits, from: &cursor.heap)
                stored.pointee.visits = UInt32.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 3)
            }
        }
        var ip: UInt32 {
            get { UInt32.load(cursor.stored(as: Stored.self).pointee.ip, from: cursor.heap.view) }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                UInt32.discard(stored.pointee.ip, from: &cursor.heap)
                stored.pointee.ip = UInt32.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 4)
            }
        }
        var flags: UInt8 {
            get { UInt8.load(cursor.stored(as: Stored.self).pointee.flags, from: cursor.heap.view) }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                UInt8.discard(stored.pointee.flags, from: &cursor.heap)
                stored.pointee.flags = UInt8.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 5)
            }
        }
        var cart: Double {
            get { Double.load(cursor.stored(as: Stored.self).pointee.cart, from: cursor.heap.view) }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                Double.discard(stored.pointee.cart, from: &cursor.heap)
                stored.pointee.cart = Double.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 6)
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
                cursor.markChanged(field: 7)
            }
        }
        var country: String {
            get {
                String.load(cursor.stored(as: Stored.self).pointee.country, from: cursor.heap.view)
            }
            set {
                cursor.reserve(for: newValue)
                let stored = cursor.stored(as: Stored.self)
                String.discard(stored.pointee.country, from: &cursor.heap)
                stored.pointee.country = String.place(newValue, in: &cursor.heap)
                cursor.markChanged(field: 8)
            }
        }
    }
}
