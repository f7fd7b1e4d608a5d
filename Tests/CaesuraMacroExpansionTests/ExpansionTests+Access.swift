import Testing

@testable import CaesuraMacroExpansion

extension ExpansionTests {
    @Test func `what a public struct generates is inlined into other modules`() {
        expectExpansion(
            #"""
            @Schema("counter")
            public struct Counter: TableKey {
                @Field(1) public var name: String
                @Field(2) public var count: Int64
            }
            """#,
            #"""
            public struct Counter: TableKey {
                public var name: String
                public var count: Int64
            }

            extension Counter: Caesura.SchemaStruct {
                @frozen public nonisolated struct Stored: BitwiseCopyable, Sendable {
                    @usableFromInline var count: Int64.Stored
                    @usableFromInline var name: String.Stored

                    @inlinable init(_ value: borrowing Counter, in heap: inout Caesura.HeapWriter) {
                        self.count = Int64.place(value.count, in: &heap)
                        self.name = String.place(value.name, in: &heap)
                    }
                }

                public static let schema = Caesura.Schema(
                    name: "counter", version: 1,
                    fields: [
                        Caesura.Field(number: 1, name: "name", type: String.fieldType),
                        Caesura.Field(number: 2, name: "count", type: Int64.fieldType),
                    ])

                @inlinable public static var isInline: Bool { String.isInline }

                public static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    String.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.name)!, in: &layout)
                    Int64.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.count)!, in: &layout)
                }

                @inlinable public static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += String.heapByteCount(of: value.name, upTo: limit)
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
                        of: value.name, replacing: stored.name, upTo: limit)
                    return count
                }

                @inlinable public static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    stored.count = Int64.place(value.count, in: &heap)
                    String.replace(&stored.name, with: value.name, in: &heap)
                }

                @inlinable public init(_stored: Stored, heap: Caesura.HeapView) {
                    self.name = String.load(_stored.name, from: heap)
                    self.count = Int64.load(_stored.count, from: heap)
                }

                @inlinable public static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                @inlinable public static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    String.discard(stored.name, from: &heap)
                }

                @inlinable public static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    String.stage(value.name, upTo: limit, in: &staged)
                }

                public static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        String.value(of: value.name),
                        Int64.value(of: value.count),
                    ])
                }

                @inlinable public func absorb(into hasher: inout Caesura.KeyHasher) {
                    self.name.absorb(into: &hasher)
                    self.count.absorb(into: &hasher)
                }

                @inlinable public static func matches(
                    _ stored: Stored, _ key: Self, in heap: Caesura.HeapView
                ) -> Bool {
                    guard String.matches(
                        stored.name, key.name, in: heap
                    ) else { return false }
                    guard Int64.matches(
                        stored.count, key.count, in: heap
                    ) else { return false }
                    return true
                }

                @frozen public nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    @usableFromInline let _row: Caesura.RowView

                    @inlinable public init(_ row: Caesura.RowView) { _row = row }

                    @inlinable public var name: String {
                        unsafe String.load(_row.stored(as: Stored.self).pointee.name, from: _row.heap)
                    }

                    @inlinable public func withName<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe String.withBytes(
                            of: _row.stored(as: Stored.self).pointee.name, in: _row.heap, body)
                    }

                    @inlinable public var count: Int64 {
                        unsafe Int64.load(_row.stored(as: Stored.self).pointee.count, from: _row.heap)
                    }
                }

                @frozen public nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    public var cursor: Caesura.RowCursor

                    @inlinable public init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    @inlinable public var name: String {
                        get {
                            unsafe String.load(
                                cursor.stored(as: Stored.self).pointee.name,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.reserve(
                                for: newValue, replacing: cursor.stored(as: Stored.self).pointee.name)
                            let stored = unsafe cursor.stored(as: Stored.self)
                            unsafe String.replace(
                                &stored.pointee.name, with: newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    @inlinable public var count: Int64 {
                        get {
                            unsafe Int64.load(
                                cursor.stored(as: Stored.self).pointee.count,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.count =
                                Int64.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 1)
                        }
                    }
                }
            }
            """#)
    }

    @Test func `a public struct with other fields generates what its own module sees`() {
        expectExpansion(
            #"""
            @Schema("counter")
            public struct Counter {
                @Field(1) public private(set) var count: Int64
                @Field(2) var note: String
            }
            """#,
            #"""
            public struct Counter {
                public private(set) var count: Int64
                var note: String
            }

            extension Counter: Caesura.SchemaStruct {
                public nonisolated struct Stored: BitwiseCopyable, Sendable {
                    var count: Int64.Stored
                    var note: String.Stored

                    init(_ value: borrowing Counter, in heap: inout Caesura.HeapWriter) {
                        self.count = Int64.place(value.count, in: &heap)
                        self.note = String.place(value.note, in: &heap)
                    }
                }

                public static let schema = Caesura.Schema(
                    name: "counter", version: 1,
                    fields: [
                        Caesura.Field(number: 1, name: "count", type: Int64.fieldType),
                        Caesura.Field(number: 2, name: "note", type: String.fieldType),
                    ])

                public static var isInline: Bool { String.isInline }

                public static func describe(at offset: Int, in layout: inout Caesura.RowLayout.Builder) {
                    Int64.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.count)!, in: &layout)
                    String.describe(
                        at: offset + MemoryLayout<Stored>.offset(of: \.note)!, in: &layout)
                }

                public static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
                    var count = 0
                    count += String.heapByteCount(of: value.note, upTo: limit)
                    return count
                }

                public static func place(_ value: Self, in heap: inout Caesura.HeapWriter) -> Stored {
                    Stored(value, in: &heap)
                }

                public static func heapByteCount(
                    of value: Self, replacing stored: Stored, upTo limit: Int
                ) -> Int {
                    var count = 0
                    count += String.heapByteCount(
                        of: value.note, replacing: stored.note, upTo: limit)
                    return count
                }

                public static func replace(
                    _ stored: inout Stored, with value: Self, in heap: inout Caesura.HeapWriter
                ) {
                    stored.count = Int64.place(value.count, in: &heap)
                    String.replace(&stored.note, with: value.note, in: &heap)
                }

                public init(_stored: Stored, heap: Caesura.HeapView) {
                    self.count = Int64.load(_stored.count, from: heap)
                    self.note = String.load(_stored.note, from: heap)
                }

                public static func load(_ stored: Stored, from heap: Caesura.HeapView) -> Self {
                    Self(_stored: stored, heap: heap)
                }

                public static func discard(_ stored: Stored, from heap: inout Caesura.HeapWriter) {
                    String.discard(stored.note, from: &heap)
                }

                public static func stage(
                    _ value: Self, upTo limit: Int, in staged: inout Caesura.StagedValues
                ) {
                    String.stage(value.note, upTo: limit, in: &staged)
                }

                public static func value(of value: Self) -> Caesura.Value {
                    .structure([
                        Int64.value(of: value.count),
                        String.value(of: value.note),
                    ])
                }

                public nonisolated struct Reader: Caesura.RowReading, ~Copyable {
                    private let _row: Caesura.RowView

                    public init(_ row: Caesura.RowView) { _row = row }

                    public var count: Int64 {
                        unsafe Int64.load(_row.stored(as: Stored.self).pointee.count, from: _row.heap)
                    }

                    var note: String {
                        unsafe String.load(_row.stored(as: Stored.self).pointee.note, from: _row.heap)
                    }

                    func withNote<Result>(
                        _ body: (RawSpan) throws -> Result
                    ) rethrows -> Result {
                        try unsafe String.withBytes(
                            of: _row.stored(as: Stored.self).pointee.note, in: _row.heap, body)
                    }
                }

                public nonisolated struct Editor: Caesura.RowEditing, ~Copyable {
                    public var cursor: Caesura.RowCursor

                    public init(_ cursor: consuming Caesura.RowCursor) { self.cursor = cursor }

                    public fileprivate(set) var count: Int64 {
                        get {
                            unsafe Int64.load(
                                cursor.stored(as: Stored.self).pointee.count,
                                from: cursor.heap.view)
                        }
                        set {
                            unsafe cursor.stored(as: Stored.self).pointee.count =
                                Int64.place(newValue, in: &cursor.heap)
                            cursor.markChanged(field: 0)
                        }
                    }

                    var note: String {
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
                            cursor.markChanged(field: 1)
                        }
                    }
                }
            }
            """#)
    }
}
