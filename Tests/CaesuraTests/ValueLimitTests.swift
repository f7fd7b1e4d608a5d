import Testing

@testable import Caesura

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// So many bytes that nobody has written: mapped when they are asked for, and never touched.
struct VastBytes: BytesFieldValue {
    typealias Stored = HeapReference
    var byteCount: Int

    static var fieldType: FieldType { .bytes }

    static func describe(at offset: Int, in layout: inout RowLayout.Builder) {
        layout.add(.bytes(utf8: false), at: offset)
    }

    static func heapByteCount(of value: Self, upTo limit: Int) -> Int {
        HeapWriter.heapByteCount(of: value.byteCount, upTo: limit)
    }

    static func withBytes<Result, Failure: Error>(
        of value: Self, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // There is no mapping of 0 bytes.
        let start = unsafe mmap(
            nil, max(1, value.byteCount), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1, 0)
        defer { unsafe munmap(start, max(1, value.byteCount)) }
        return try unsafe body(UnsafeRawBufferPointer(start: start, count: value.byteCount))
    }

    static func load(_ stored: HeapReference, from heap: HeapView) -> Self {
        Self(byteCount: heap.byteCount(of: stored))
    }

    static func value(of value: Self) -> Value { .bytes([]) }
}

@Schema("vast")
struct VastRow {
    @Field(1) var bytes: VastBytes
}

/// A value that no checkpoint could bring back is refused where it is set.
@Suite struct ValueLimitTests {
    static func table() throws -> Table<UInt64, VastRow> {
        try Store().table("vast", key: UInt64.self, row: VastRow.self)
    }

    func expectRefusal(_ result: ExitTest.Result?) throws {
        let output = try #require(result?.standardErrorContent)
        let sentence = String(decoding: output, as: UTF8.self)
        #expect(sentence.contains("more than Store.valueByteLimit; a checkpoint with it"))
    }

    @Test func `a row with a value over the limit ends the process`() async throws {
        let result = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let table = try Self.table()
            table[1] = VastRow(bytes: VastBytes(byteCount: Store.valueByteLimit + 1))
        }
        try expectRefusal(result)
    }

    @Test func `an update to a value over 4 GiB ends the process`() async throws {
        let result = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            let table = try Self.table()
            table[1] = VastRow(bytes: VastBytes(byteCount: 0))
            table.update(1) { $0.bytes = VastBytes(byteCount: 5 << 30) }
        }
        try expectRefusal(result)
    }

    @Test func `the values that a reader takes are those that a store takes`() {
        #expect(Store.valueByteLimit == 1 << 30)
        #expect(Limits().valueBytes >= Store.valueByteLimit)
    }
}
