import Testing

@testable import CaesuraMacroExpansion

extension ExpansionTests {
    @Test func `a default is the field's value where a writer did not know it`() {
        expectExpansion(
            #"""
            @Schema("visit", version: 3)
            struct Visit {
                @Field(1) var status: Status = .active
                @Field(3, since: 2) var note: String?
                @Field(2, since: 3) var address: Address = Address(
                    city: "")
            }
            """#,
            #"""
            struct Visit {
                var status: Status = .active
                var note: String?
                var address: Address = Address(
                    city: "")
            }

            extension Visit: Caesura.SchemaStruct {
                nonisolated struct Stored: BitwiseCopyable, Sendable {
                    var status: Caesura.StoredForm<Status>
                    var address: Caesura.StoredForm<Address>
                    var note: Optional<String>.Stored

                    init(_ value: borrowing Visit, in heap: inout Caesura.HeapWriter) {
                        self.status = Status.place(value.status, in: &heap)
                        self.address = Address.place(value.address, in: &heap)
                        self.note = Optional<String>.place(value.note, in: &heap)
                    }
                }

                static let schema = Caesura.Schema(
                    name: "visit", version: 3,
                    fields: [
                        Caesura.Field(
                            number: 1, name: "status", type: Status.fieldType,
                            defaultValue: Status.value(of: .active)),
                        Caesura.Field(
                            number: 3, name: "note", type: Optional<String>.fieldType,
                            defaultValue: Optional<String>.value(of: nil), since: 2),
                        Caesura.Field(
                            number: 2, name: "address", type: Address.fieldType,
                            defaultValue: Address.value(of: Address(
                                city: "")), since: 3),
                    ])

                static var isInline: Bool { Status.isInline && Address.isInline && Optional<String>.isInline }

                static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    Status.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.status)!, in: &layout)
                    Optional<String>.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.note)!, in: &layout)
                    Address.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.address)!, in: &layout)
                }

                static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += Status.heapByteCount(of: value.status, upTo: limit)
                    count += Address.heapByteCount(of: value.address, upTo: limit)
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
                    count += Status.heapByteCount(
                        of: value.status, replacing: stored.status, upTo: limit)
                    count += Address.heapByteCount(
                        of: value.address, replacing: stored.address, upTo: limit)
                    count += Optional<String>.heapByteCount(
                        of: value.note, replacing: stored.note, upTo: limit)
                    return count
                }

                static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    Status.replace(&stored.status, with: value.status, in: &heap)
                    Address.replace(&stored.address, with: value.address, in: &heap)
                    Optional<String>.replace(&stored.note, with: value.note, in: &heap)
                }

                init(_stored: Stored, heap: Caesura.HeapView) {
                    self.status = Status.load(_stored.status, from: heap)
                    self.note = Optional<String>.load(_stored.note, from: heap)
                    self.address = Address.load(_stored.address, from: heap)
                }

                static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    Status.discard(stored.status, from: &heap)
                    Address.discard(stored.address, from: &heap)
                    Optional<String>.discard(stored.note, from: &heap)
                }

                static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    Status.stage(value.status, upTo: limit, in: &staged)
                    Address.stage(value.address, upTo: limit, in: &staged)
                    Optional<String>.stage(value.note, upTo: limit, in: &staged)
                }

                static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        Status.value(of: value.status),
                        Optional<String>.value(of: value.note),
                        Address.value(of: value.address),
                    ])
                }

                nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    private let _row: Caesura.RowView

                    init(_ row: Caesura.RowView) { _row = row }

                    var status: Status {
                        unsafe Status.load(_row.stored(as: Stored.self).pointee.status, from: _row.heap)
                    }

                    var note: String? {
                        unsafe Optional<String>.load(_row.stored(as: Stored.self).pointee.note, from: _row.heap)
                    }

                    var address: Address {
                        unsafe Address.load(_row.stored(as: Stored.self).pointee.address, from: _row.heap)
                    }
                }

                nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    var cursor: Caesura.RowCursor

                    init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    var status: Status {
                        get {
                            unsafe Status.load(
                                cursor.stored(as: Stored.self).pointee.status,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.status)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe Status.replace(
                                &stored.pointee.status, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    var note: String? {
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
                            cursor.markChanged(field: 1)
                        }
                    }

                    var address: Address {
                        get {
                            unsafe Address.load(
                                cursor.stored(as: Stored.self).pointee.address,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.address)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe Address.replace(
                                &stored.pointee.address, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 2)
                        }
                    }
                }
            }
            """#)
    }
}
