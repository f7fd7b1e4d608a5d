import Testing

@testable import CaesuraMacroExpansion

extension ExpansionTests {
    @Test func `a key hashes its fields and compares them with a row's`() {
        expectExpansion(
            #"""
            @Schema("route")
            struct RouteKey: TableKey {
                @Field(1) var peer: String
                @Field(2) var length: UInt8
            }
            """#,
            #"""
            struct RouteKey: TableKey {
                var peer: String
                var length: UInt8
            }

            extension RouteKey: Caesura.SchemaStruct {
                nonisolated struct Stored: BitwiseCopyable, Sendable {
                    var peer: String.Stored
                    var length: UInt8.Stored

                    init(_ value: borrowing RouteKey, in heap: inout Caesura.HeapWriter) {
                        self.peer = String.place(value.peer, in: &heap)
                        self.length = UInt8.place(value.length, in: &heap)
                    }
                }

                static let schema = Caesura.Schema(
                    name: "route", version: 1,
                    fields: [
                        Caesura.Field(number: 1, name: "peer", type: String.fieldType),
                        Caesura.Field(number: 2, name: "length", type: UInt8.fieldType),
                    ])

                static var isInline: Bool { String.isInline }

                static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    String.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.peer)!, in: &layout)
                    UInt8.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.length)!, in: &layout)
                }

                static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += String.heapByteCount(of: value.peer, upTo: limit)
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
                        of: value.peer, replacing: stored.peer, upTo: limit)
                    return count
                }

                static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    String.replace(&stored.peer, with: value.peer, in: &heap)
                    stored.length = UInt8.place(value.length, in: &heap)
                }

                init(_stored: Stored, heap: Caesura.HeapView) {
                    self.peer = String.load(_stored.peer, from: heap)
                    self.length = UInt8.load(_stored.length, from: heap)
                }

                static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    String.discard(stored.peer, from: &heap)
                }

                static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    String.stage(value.peer, upTo: limit, in: &staged)
                }

                static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        String.value(of: value.peer),
                        UInt8.value(of: value.length),
                    ])
                }

                func absorb(into hasher: inout Caesura.KeyHasher) {
                    self.peer.absorb(into: &hasher)
                    self.length.absorb(into: &hasher)
                }

                static func matches(
                    _ stored: Stored, _ key: Self, in heap: Caesura.HeapView
                ) -> Bool {
                    guard String.matches(
                        stored.peer, key.peer, in: heap
                    ) else { return false }
                    guard UInt8.matches(
                        stored.length, key.length, in: heap
                    ) else { return false }
                    return true
                }

                nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    private let _row: Caesura.RowView

                    init(_ row: Caesura.RowView) { _row = row }

                    var peer: String {
                        unsafe String.load(_row.stored(as: Stored.self).pointee.peer, from: _row.heap)
                    }

                    func withPeer<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe String.withBytes(
                            of: _row.stored(as: Stored.self).pointee.peer, in: _row.heap, body)
                    }

                    var length: UInt8 {
                        unsafe UInt8.load(_row.stored(as: Stored.self).pointee.length, from: _row.heap)
                    }
                }

                nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    var cursor: Caesura.RowCursor

                    init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    var peer: String {
                        get {
                            unsafe String.load(
                                cursor.stored(as: Stored.self).pointee.peer,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.peer)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe String.replace(
                                &stored.pointee.peer, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    var length: UInt8 {
                        get {
                            unsafe UInt8.load(
                                cursor.stored(as: Stored.self).pointee.length,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.length =
                                UInt8.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 1)
                        }
                    }
                }
            }
            """#)
    }
}
