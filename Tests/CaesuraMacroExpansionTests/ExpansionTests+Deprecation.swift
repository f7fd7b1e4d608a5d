import Testing

@testable import CaesuraMacroExpansion

extension ExpansionTests {
    @Test func `who uses a field that goes is warned, and the code that is written is not`() {
        expectExpansion(
            #"""
            @Schema("visit", version: 3)
            public struct Visit {
                @Field(1, deprecated: 2, gone: 9) public var note: String
                @Field(2, deprecated: 2, unwritten: 3) public var count: UInt8 = 0
                @Field(3, deprecated: 3) @available(*, deprecated) public var size: UInt8
            }
            """#,
            #"""
            public struct Visit {
                @available(*, deprecated, message: "deprecated since version 2, gone in version 9") public var note: String
                @available(*, deprecated, message: "deprecated since version 2, not written from version 3 on") public var count: UInt8 = 0
                @available(*, deprecated) public var size: UInt8
            }

            extension Visit: Caesura.SchemaStruct, Caesura.DeprecatingSchemaStruct {
                @frozen public nonisolated struct Stored: BitwiseCopyable, Sendable {
                    @usableFromInline var note: String.Stored
                    @usableFromInline var count: UInt8.Stored
                    @usableFromInline var size: UInt8.Stored

                    @inlinable init(_ value: borrowing Visit, in heap: inout Caesura.HeapWriter) {
                        self.note = String.place(Visit._deprecatedFields(of: value).note, in: &heap)
                        self.count = UInt8.place(0, in: &heap)
                        self.size = UInt8.place(Visit._deprecatedFields(of: value).size, in: &heap)
                    }
                }

                public static let schema = Caesura.Schema(
                    name: "visit", version: 3,
                    fields: [
                        Caesura.Field(
                            number: 1, name: "note", type: String.fieldType,
                            deprecation: .init(since: 2, gone: 9)),
                        Caesura.Field(
                            number: 2, name: "count", type: UInt8.fieldType,
                            defaultValue: UInt8.value(of: 0), deprecation: .init(since: 2, unwritten: 3)),
                        Caesura.Field(
                            number: 3, name: "size", type: UInt8.fieldType,
                            deprecation: .init(since: 3)),
                    ])

                @inlinable public static var isInline: Bool { String.isInline }

                public static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    String.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.note)!, in: &layout)
                    UInt8.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.count)!, in: &layout)
                    UInt8.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.size)!, in: &layout)
                }

                @inlinable public static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += String.heapByteCount(of: Visit._deprecatedFields(of: value).note, upTo: limit)
                    return count
                }

                @inlinable public static func place(_ value: Self, in heap: inout Caesura.HeapWriter) -> Stored {
                    Stored(value, in: &heap)
                }

                @inlinable public static func heapByteCount(
                    of value: Self, replacing stored: Stored, upTo limit: Int
                ) -> Int {
                    var count = 0
                    count += String.heapByteCount(
                        of: Visit._deprecatedFields(of: value).note, replacing: stored.note, upTo: limit)
                    return count
                }

                @inlinable public static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    String.replace(&stored.note, with: Visit._deprecatedFields(of: value).note, in: &heap)
                    stored.count = UInt8.place(0, in: &heap)
                    stored.size = UInt8.place(Visit._deprecatedFields(of: value).size, in: &heap)
                }

                @available(*, deprecated)
                @inlinable public init(_stored: Stored, heap: Caesura.HeapView) {
                    self.note = String.load(_stored.note, from: heap)
                    self.count = UInt8.load(_stored.count, from: heap)
                    self.size = UInt8.load(_stored.size, from: heap)
                }

                @inlinable public static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    _load(stored, from: heap)
                }

                @inlinable public static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    String.discard(stored.note, from: &heap)
                }

                @inlinable public static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    String.stage(Visit._deprecatedFields(of: value).note, upTo: limit, in: &staged)
                }

                public static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        String.value(of: Visit._deprecatedFields(of: value).note),
                        UInt8.value(of: 0),
                        UInt8.value(of: Visit._deprecatedFields(of: value).size),
                    ])
                }

                @frozen public nonisolated struct _DeprecatedFields {
                    @usableFromInline let note: String
                    @usableFromInline let count: UInt8
                    @usableFromInline let size: UInt8

                    @available(*, deprecated)
                    @inlinable init(_ value: borrowing Visit) {
                        self.note = value.note
                        self.count = value.count
                        self.size = value.size
                    }
                }

                @available(*, deprecated)
                @inlinable public var _deprecatedFields: _DeprecatedFields { _DeprecatedFields(self) }

                @frozen public nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    @usableFromInline let _row: Caesura.RowView

                    @inlinable public init(_ row: Caesura.RowView) { _row = row }

                    @available(*, deprecated, message: "deprecated since version 2, gone in version 9")
                    @inlinable public var note: String {
                        unsafe String.load(_row.stored(as: Stored.self).pointee.note, from: _row.heap)
                    }

                    @available(*, deprecated, message: "deprecated since version 2, gone in version 9")
                    @inlinable public func withNote<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe String.withBytes(
                            of: _row.stored(as: Stored.self).pointee.note, in: _row.heap, body)
                    }

                    @available(*, deprecated, message: "deprecated since version 2, not written from version 3 on")
                    @inlinable public var count: UInt8 {
                        unsafe UInt8.load(_row.stored(as: Stored.self).pointee.count, from: _row.heap)
                    }

                    @available(*, deprecated, message: "deprecated since version 3")
                    @inlinable public var size: UInt8 {
                        unsafe UInt8.load(_row.stored(as: Stored.self).pointee.size, from: _row.heap)
                    }
                }

                @frozen public nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    public var cursor: Caesura.RowCursor

                    @inlinable public init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    @available(*, deprecated, message: "deprecated since version 2, gone in version 9")
                    @inlinable public var note: String {
                        get {
                            unsafe String.load(
                                cursor.stored(as: Stored.self).pointee.note,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.note)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe String.replace(
                                &stored.pointee.note, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    @available(*, deprecated, message: "deprecated since version 2, not written from version 3 on")
                    @inlinable public var count: UInt8 {
                        get {
                            unsafe UInt8.load(
                                cursor.stored(as: Stored.self).pointee.count,
                                from: cursor.heap.view)
                        }
                    }

                    @available(*, deprecated, message: "deprecated since version 3")
                    @inlinable public var size: UInt8 {
                        get {
                            unsafe UInt8.load(
                                cursor.stored(as: Stored.self).pointee.size,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.size =
                                UInt8.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 2)
                        }
                    }
                }
            }
            """#)
    }
}
