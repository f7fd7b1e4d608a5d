import Testing

@testable import CaesuraMacroExpansion

extension ExpansionTests {
    @Test func `optional and nested fields go to the compiler by name`() {
        expectExpansion(
            #"""
            @Schema("visit")
            struct Visit {
                @Field(1) var isFirst: Bool?
                @Field(2) let address: Address
                @Field(3) private var note: String?
                @Field(4) private(set) var seen: Timestamp
                @Field(5) var `default`: [UInt8]
                var count: Int { 1 }
                static let limit = 5
            }
            """#,
            #"""
            struct Visit {
                var isFirst: Bool?
                let address: Address
                private var note: String?
                private(set) var seen: Timestamp
                var `default`: [UInt8]
                var count: Int { 1 }
                static let limit = 5
            }

            extension Visit: Caesura.SchemaStruct {
                nonisolated struct Stored: BitwiseCopyable, Sendable {
                    var seen: Caesura.StoredForm<Timestamp>
                    var address: Caesura.StoredForm<Address>
                    var `default`: Array<UInt8>.Stored
                    fileprivate var note: Optional<String>.Stored
                    var isFirst: Optional<Bool>.Stored

                    init(_ value: borrowing Visit, in heap: inout Caesura.HeapWriter) {
                        self.seen = Timestamp.place(value.seen, in: &heap)
                        self.address = Address.place(value.address, in: &heap)
                        self.`default` = Array<UInt8>.place(value.`default`, in: &heap)
                        self.note = Optional<String>.place(value.note, in: &heap)
                        self.isFirst = Optional<Bool>.place(value.isFirst, in: &heap)
                    }
                }

                static let schema = Caesura.Schema(
                    name: "visit", version: 1,
                    fields: [
                        Caesura.Field(
                            number: 1, name: "isFirst", type: Optional<Bool>.fieldType,
                            defaultValue: Optional<Bool>.value(of: nil)),
                        Caesura.Field(number: 2, name: "address", type: Address.fieldType),
                        Caesura.Field(
                            number: 3, name: "note", type: Optional<String>.fieldType,
                            defaultValue: Optional<String>.value(of: nil)),
                        Caesura.Field(number: 4, name: "seen", type: Timestamp.fieldType),
                        Caesura.Field(number: 5, name: "default", type: Array<UInt8>.fieldType),
                    ])

                static var isInline: Bool { Timestamp.isInline && Address.isInline && Array<UInt8>.isInline && Optional<String>.isInline }

                static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    Optional<Bool>.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.isFirst)!, in: &layout)
                    Address.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.address)!, in: &layout)
                    Optional<String>.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.note)!, in: &layout)
                    Timestamp.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.seen)!, in: &layout)
                    Array<UInt8>.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.`default`)!, in: &layout)
                }

                static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += Timestamp.heapByteCount(of: value.seen, upTo: limit)
                    count += Address.heapByteCount(of: value.address, upTo: limit)
                    count += Array<UInt8>.heapByteCount(of: value.`default`, upTo: limit)
                    count += Optional<String>.heapByteCount(of: value.note, upTo: limit)
                    return count
                }

                static func place(_ value: Self, in heap: inout Caesura.HeapWriter) -> Stored {
                    Stored(value, in: &heap)
                }

                static func heapByteCount(
                    of value: Self, replacing stored: Stored, upTo limit: Int
                ) -> Int {
                    var count = 0
                    count += Timestamp.heapByteCount(
                        of: value.seen, replacing: stored.seen, upTo: limit)
                    count += Address.heapByteCount(
                        of: value.address, replacing: stored.address, upTo: limit)
                    count += Array<UInt8>.heapByteCount(
                        of: value.`default`, replacing: stored.`default`, upTo: limit)
                    count += Optional<String>.heapByteCount(
                        of: value.note, replacing: stored.note, upTo: limit)
                    return count
                }

                static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    Timestamp.replace(&stored.seen, with: value.seen, in: &heap)
                    Address.replace(&stored.address, with: value.address, in: &heap)
                    Array<UInt8>.replace(&stored.`default`, with: value.`default`, in: &heap)
                    Optional<String>.replace(&stored.note, with: value.note, in: &heap)
                    stored.isFirst = Optional<Bool>.place(value.isFirst, in: &heap)
                }

                init(_stored: Stored, heap: Caesura.HeapView) {
                    self.isFirst = Optional<Bool>.load(_stored.isFirst, from: heap)
                    self.address = Address.load(_stored.address, from: heap)
                    self.note = Optional<String>.load(_stored.note, from: heap)
                    self.seen = Timestamp.load(_stored.seen, from: heap)
                    self.`default` = Array<UInt8>.load(_stored.`default`, from: heap)
                }

                static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    Timestamp.discard(stored.seen, from: &heap)
                    Address.discard(stored.address, from: &heap)
                    Array<UInt8>.discard(stored.`default`, from: &heap)
                    Optional<String>.discard(stored.note, from: &heap)
                }

                static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    Timestamp.stage(value.seen, upTo: limit, in: &staged)
                    Address.stage(value.address, upTo: limit, in: &staged)
                    Array<UInt8>.stage(value.`default`, upTo: limit, in: &staged)
                    Optional<String>.stage(value.note, upTo: limit, in: &staged)
                }

                static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        Optional<Bool>.value(of: value.isFirst),
                        Address.value(of: value.address),
                        Optional<String>.value(of: value.note),
                        Timestamp.value(of: value.seen),
                        Array<UInt8>.value(of: value.`default`),
                    ])
                }

                nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    private let _row: Caesura.RowView

                    init(_ row: Caesura.RowView) { _row = row }

                    var isFirst: Bool? {
                        unsafe Optional<Bool>.load(_row.stored(as: Stored.self).pointee.isFirst, from: _row.heap)
                    }

                    var address: Address {
                        unsafe Address.load(_row.stored(as: Stored.self).pointee.address, from: _row.heap)
                    }

                    fileprivate var note: String? {
                        unsafe Optional<String>.load(_row.stored(as: Stored.self).pointee.note, from: _row.heap)
                    }

                    var seen: Timestamp {
                        unsafe Timestamp.load(_row.stored(as: Stored.self).pointee.seen, from: _row.heap)
                    }

                    var `default`: [UInt8] {
                        unsafe Array<UInt8>.load(_row.stored(as: Stored.self).pointee.`default`, from: _row.heap)
                    }

                    func withDefault<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe Array<UInt8>.withBytes(
                            of: _row.stored(as: Stored.self).pointee.`default`, in: _row.heap, body)
                    }
                }

                nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    var cursor: Caesura.RowCursor

                    init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    var isFirst: Bool? {
                        get {
                            unsafe Optional<Bool>.load(
                                cursor.stored(as: Stored.self).pointee.isFirst,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.isFirst =
                                Optional<Bool>.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    var address: Address {
                        get {
                            unsafe Address.load(
                                cursor.stored(as: Stored.self).pointee.address,
                                from: cursor.heap.view)
                        }
                    }

                    fileprivate var note: String? {
                        get {
                            unsafe Optional<String>.load(
                                cursor.stored(as: Stored.self).pointee.note,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.note)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe Optional<String>.replace(
                                &stored.pointee.note, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 2)
                        }
                    }

                    fileprivate(set) var seen: Timestamp {
                        get {
                            unsafe Timestamp.load(
                                cursor.stored(as: Stored.self).pointee.seen,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.seen)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe Timestamp.replace(
                                &stored.pointee.seen, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 3)
                        }
                    }

                    var `default`: [UInt8] {
                        get {
                            unsafe Array<UInt8>.load(
                                cursor.stored(as: Stored.self).pointee.`default`,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.`default`)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe Array<UInt8>.replace(
                                &stored.pointee.`default`, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 4)
                        }
                    }
                }
            }
            """#)
    }
}
