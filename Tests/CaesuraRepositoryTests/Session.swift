import Caesura
import CaesuraFormat

/// A row with a number, a string and a few bytes, written out by hand: what `@Schema` would generate.
struct Session: SchemaStruct, Equatable {
    var visits: UInt64
    var token: String

    struct Stored: BitwiseCopyable, Sendable {
        var visits: UInt64.Stored
        var token: String.Stored
    }

    static var schema: Schema {
        Schema(
            name: "session",
            fields: [
                Field(number: 1, name: "visits", type: UInt64.fieldType),
                Field(number: 2, name: "token", type: String.fieldType),
            ])
    }
    static var isInline: Bool { false }
    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        UInt64.describe(at: offset + MemoryLayout<Stored>.offset(of: \.visits)!, in: &layout)
        String.describe(at: offset + MemoryLayout<Stored>.offset(of: \.token)!, in: &layout)
    }
    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        String.heapByteCount(of: value.token, upTo: limit)
    }
    static func place(_ value: Self, in heap: inout HeapWriter) -> Stored {
        Stored(
            visits: UInt64.place(value.visits, in: &heap),
            token: String.place(value.token, in: &heap))
    }
    static func load(_ stored: Stored, from heap: HeapView) -> Self {
        Self(
            visits: UInt64.load(stored.visits, from: heap),
            token: String.load(stored.token, from: heap))
    }
    static func discard(_ stored: Stored, from heap: inout HeapWriter) {
        String.discard(stored.token, from: &heap)
    }
    static func stage(_ value: Self, upTo limit: Int, in staged: inout StagedValues) {
        String.stage(value.token, upTo: limit, in: &staged)
    }
    static func value(of value: Self) -> Value {
        .structure([UInt64.value(of: value.visits), String.value(of: value.token)])
    }

    struct Reader: RowReading, ~Copyable {
        init(_ row: RowView) {}
    }
    struct Editor: RowEditing, ~Copyable {
        var cursor: RowCursor
        init(_ cursor: consuming RowCursor) { self.cursor = cursor }
    }
}

/// A store with one table of sessions, equal for equal contents.
struct SessionStore {
    let store: Store
    let sessions: Table<UInt64, Session>

    init(partitionBits: Int = 3, retainedByteLimit: Int = .max) throws {
        var configuration = Store.Configuration()
        configuration.partitionBits = partitionBits
        configuration.hashKey = HashKey(k0: 1, k1: 2)
        configuration.retainedByteLimit = retainedByteLimit
        store = Store(configuration)
        sessions = try store.table("sessions", key: UInt64.self, row: Session.self)
    }

    /// Sets rows 0 and up, each following from its number and the generation.
    func fill(_ count: UInt64, generation: UInt64 = 0) {
        for i in 0..<count { sessions[i] = Self.row(i, generation) }
    }

    static func row(_ i: UInt64, _ generation: UInt64) -> Session {
        let h = (i &+ generation) &* 0x9E37_79B9_7F4A_7C15
        return Session(visits: generation, token: String(h, radix: 16))
    }

    /// Whether the table has exactly the rows that ``fill(_:generation:)`` sets.
    func holds(_ count: UInt64, generation: UInt64 = 0) -> Bool {
        sessions.count == Int(count)
            && (0..<count).allSatisfy { sessions[$0] == Self.row($0, generation) }
    }
}
