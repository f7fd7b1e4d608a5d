import Testing

@testable import CaesuraMacroExpansion

/// What `@Schema` writes, word by word: reviewed by eye, compiled by CaesuraTests.
struct ExpansionTests {
    @Test func `a plain struct`() {
        expectExpansion(
            #"""
            @Schema("session", version: 2, retired: [3, "country"])
            struct Session {
                @Field(1) var user: UInt64
                @Field(2, .sensitive) var token: String
                @Field(4, since: 2, formerly: ["hits"]) var visits: UInt32 = 0
            }
            """#,
            #"""
            struct Session {
                var user: UInt64
                var token: String
                var visits: UInt32 = 0
            }

            extension Session: Caesura.SchemaStruct {
                nonisolated struct Stored: BitwiseCopyable, Sendable {
                    var user: UInt64.Stored
                    var visits: UInt32.Stored
                    var token: String.Stored

                    init(_ value: borrowing Session, in heap: inout Caesura.HeapWriter) {
                        self.user = UInt64.place(value.user, in: &heap)
                        self.visits = UInt32.place(value.visits, in: &heap)
                        self.token = String.place(value.token, in: &heap)
                    }
                }

                static let schema = Caesura.Schema(
                    name: "session", version: 2,
                    fields: [
                        Caesura.Field(number: 1, name: "user", type: UInt64.fieldType),
                        Caesura.Field(
                            number: 2, name: "token", type: String.fieldType,
                            flags: [.sensitive]),
                        Caesura.Field(
                            number: 4, name: "visits", type: UInt32.fieldType,
                            defaultValue: UInt32.value(of: 0), since: 2, formerNames: ["hits"]),
                    ], retired: [3, "country"])

                static var isInline: Bool { String.isInline }

                static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    UInt64.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.user)!, in: &layout)
                    String.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.token)!, in: &layout)
                    UInt32.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.visits)!, in: &layout)
                }

                static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += String.heapByteCount(of: value.token, upTo: limit)
                    return count
                }

                static func place(_ value: Self, in heap: inout Caesura.HeapWriter) -> Stored {
                    Stored(value, in: &heap)
                }

                static func heapByteCount(
                    of value: Self, replacing stored: Stored, upTo limit: Int
                ) -> Int {
                    var count = 0
                    count += String.heapByteCount(
                        of: value.token, replacing: stored.token, upTo: limit)
                    return count
                }

                static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    stored.user = UInt64.place(value.user, in: &heap)
                    stored.visits = UInt32.place(value.visits, in: &heap)
                    String.replace(&stored.token, with: value.token, in: &heap)
                }

                init(_stored: Stored, heap: Caesura.HeapView) {
                    self.user = UInt64.load(_stored.user, from: heap)
                    self.token = String.load(_stored.token, from: heap)
                    self.visits = UInt32.load(_stored.visits, from: heap)
                }

                static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    String.discard(stored.token, from: &heap)
                }

                static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    String.stage(value.token, upTo: limit, in: &staged)
                }

                static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        UInt64.value(of: value.user),
                        String.value(of: value.token),
                        UInt32.value(of: value.visits),
                    ])
                }

                nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    private let _row: Caesura.RowView

                    init(_ row: Caesura.RowView) { _row = row }

                    var user: UInt64 {
                        unsafe UInt64.load(_row.stored(as: Stored.self).pointee.user, from: _row.heap)
                    }

                    var token: String {
                        unsafe String.load(_row.stored(as: Stored.self).pointee.token, from: _row.heap)
                    }

                    func withToken<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe String.withBytes(
                            of: _row.stored(as: Stored.self).pointee.token, in: _row.heap, body)
                    }

                    var visits: UInt32 {
                        unsafe UInt32.load(_row.stored(as: Stored.self).pointee.visits, from: _row.heap)
                    }
                }

                nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    var cursor: Caesura.RowCursor

                    init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    var user: UInt64 {
                        get {
                            unsafe UInt64.load(
                                cursor.stored(as: Stored.self).pointee.user,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.user =
                                UInt64.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    var token: String {
                        get {
                            unsafe String.load(
                                cursor.stored(as: Stored.self).pointee.token,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.token)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe String.replace(
                                &stored.pointee.token, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 1)
                        }
                    }

                    var visits: UInt32 {
                        get {
                            unsafe UInt32.load(
                                cursor.stored(as: Stored.self).pointee.visits,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.visits =
                                UInt32.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 2)
                        }
                    }
                }
            }
            """#)
    }
}
