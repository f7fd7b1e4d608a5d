import Caesura
import CaesuraFormat
import Testing

@Schema("flags") struct Flags { @Field(1) var bits: [Bool] }

/// Streams whose checksums hold and that no writer of ours has written.
@Suite struct HostileStreamTests {
    @Test func `Bools that are neither 0 nor 1 are refused in segments too`() throws {
        let region = RegionSchema(
            name: "flags", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
            row: Schema(
                name: "flags",
                fields: [Field(number: 1, name: "bits", type: .array(.bool))]))
        let layout = try RegionLayout(region)
        for (value, isGood) in [(1, true), (2, false)] as [(UInt8, Bool)] {
            let metadata = try StreamMetadata(
                epoch: 3, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 0, regions: [region])
            var writer = StreamWriter(metadata: metadata, to: ByteArraySink())
            var encoder = ChunkEncoder()
            let content = [UInt8](repeating: value, count: 300_000)
            var header = ChunkHeader(
                role: .segment, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
                range: .all, sequence: 0, targetEpoch: 3)
            unsafe content.withUnsafeBytes {
                unsafe encoder.encode(segment: $0, leaf: 1, row: 0, offset: 0, header: header)
            }
            unsafe writer.append(encoder.bytes)
            let batch = ColumnBatch(leaves: layout.leaves)
            for column in batch.columns { column.reserveCapacity(1) }
            unsafe batch.columns[0].values.storeBytes(of: 7, as: UInt64.self)
            unsafe batch.columns[1].lengths[0] = UInt32(content.count)
            for column in batch.columns { column.count = 1 }
            batch.rowCount = 1
            header.role = .core
            header.sequence = 1
            encoder.encode(core: batch, header: header)
            unsafe writer.append(encoder.bytes)
            let bytes = writer.finish().bytes
            var restorer = StreamRestorer(into: Store())
            let failure = Result { try restorer.push(bytes) }
            #expect((try? failure.get()) != nil || !isGood)
            #expect((try? failure.get()) == nil || isGood)
        }
    }

    static let hashKey = HashKey(k0: 1, k1: 2)

    static func region() throws -> RegionSchema {
        let store = SnapshotTests.store(0)
        return try store.table("sample", key: UInt64.self, row: SampleRow.self).schema
    }

    /// The rows of some keys as a core chunk.
    static func chunk(
        _ keys: [UInt64], range: HashRange, epoch: UInt64, token: (UInt64) -> String = { "t\($0)" }
    ) throws -> [UInt8] {
        let layout = try RegionLayout(region())
        let batch = ColumnBatch(leaves: layout.leaves)
        let keys = keys.sorted { hashKey.hash($0) < hashKey.hash($1) }
        batch.rowCount = keys.count
        func fixed<Word: FixedWidthInteger & BitwiseCopyable>(_ leaf: Int, _ words: [Word]) {
            let column = batch.columns[leaf]
            column.reserveCapacity(words.count)
            for (index, word) in words.enumerated() {
                unsafe column.values.storeBytes(
                    of: word, toByteOffset: index * column.width, as: Word.self)
            }
            column.count = words.count
        }
        fixed(0, keys)
        fixed(1, keys)
        fixed(3, keys.map { _ in 0 as UInt32 })
        fixed(4, keys.map { _ in 0 as UInt8 })
        let column = batch.columns[2]
        column.reserveCapacity(keys.count)
        for (index, key) in keys.enumerated() {
            let text = Array(token(key).utf8)
            column.reserveContent(column.contentByteCount + text.count)
            for (offset, byte) in text.enumerated() {
                unsafe column.content.storeBytes(
                    of: byte, toByteOffset: column.contentByteCount + offset, as: UInt8.self)
            }
            column.contentByteCount += text.count
            unsafe column.lengths[index] = UInt32(text.count)
        }
        column.count = keys.count
        var encoder = ChunkEncoder()
        var header = ChunkHeader(role: .core, targetEpoch: epoch)
        header.fingerprint = layout.wireFingerprint
        header.range = range
        encoder.encode(core: batch, header: header)
        return unsafe Array(encoder.bytes)
    }

    static func apply(_ chunk: [UInt8], _ applier: ChunkApplier) throws {
        try unsafe chunk.withUnsafeBytes { bytes in
            try unsafe applier.apply(
                VerifiedChunk(verifying: bytes), with: ChunkApplier.Worker(for: applier))
        }
    }

    static func applier(_ store: Store, epoch: UInt64 = 1) throws -> ChunkApplier {
        try ChunkApplier(
            store,
            metadata: StreamMetadata(
                epoch: epoch, hashKey: hashKey, partitionBits: 0, regions: [region()],
                compression: .none))
    }

    @Test func `a chunk of a single hash is restored and written again`() throws {
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let applier = try Self.applier(store)
        let range = HashRange(prefixBits: 64, prefix: Self.hashKey.hash(7))
        try Self.apply(Self.chunk([7], range: range, epoch: 1), applier)
        #expect(table[7]?.token == "t7")
        for key in 0..<500 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let (_, back) = try SnapshotTests.restore(store.cut().write(to: ByteArraySink()).bytes)
        for key in 0..<500 as Range<UInt64> { #expect(back[key] == SnapshotTests.row(key)) }
    }

    @Test(arguments: [1, 2] as [UInt8])
    func `an array of bools in segments has no other bytes`(last: UInt8) throws {
        let store = Store()
        let table = try store.table("flags", key: UInt64.self, row: Flags.self)
        let layout = try RegionLayout(table.schema)
        let applier = try ChunkApplier(
            store,
            metadata: StreamMetadata(
                epoch: 3, hashKey: Self.hashKey, partitionBits: 0, regions: [table.schema]))
        var content = [UInt8](repeating: 1, count: 70_000)
        content[69_999] = last
        var encoder = ChunkEncoder()
        var header = ChunkHeader(role: .segment, targetEpoch: 3)
        header.fingerprint = layout.wireFingerprint
        unsafe content.withUnsafeBytes {
            unsafe encoder.encode(segment: $0, leaf: 1, row: 0, offset: 0, header: header)
        }
        try Self.apply(unsafe Array(encoder.bytes), applier)
        let batch = ColumnBatch(leaves: layout.leaves)
        for column in batch.columns {
            column.reserveCapacity(1)
            column.count = 1
        }
        unsafe batch.columns[0].values.storeBytes(of: 7, as: UInt64.self)
        unsafe batch.columns[1].lengths[0] = 70_000
        batch.rowCount = 1
        header.role = .core
        header.sequence = 1
        encoder.encode(core: batch, header: header)
        let core = unsafe Array(encoder.bytes)
        if last == 1 {
            try Self.apply(core, applier)
            #expect(table[7]?.bits.count == 70_000)
        } else {
            #expect(throws: FormatError(.malformed, "", at: 0)) { try Self.apply(core, applier) }
            #expect(table.count == 0)
        }
    }

    @Test func `the last epoch there can be is refused`() throws {
        for epoch in [UInt64.max, 1 << 48, 1 << 47] {
            #expect(throws: StoreError.self) { try Self.applier(Store(), epoch: epoch) }
        }
    }

    @Test func `a restore that another one has displaced is refused`() throws {
        let store = Store()
        let first = try Self.applier(store)
        _ = try ChunkApplier(
            store,
            metadata: StreamMetadata(
                epoch: 1, hashKey: HashKey(k0: 3, k1: 4), partitionBits: 0,
                regions: [Self.region()], compression: .none))
        #expect(throws: StoreError(.restoreDisturbed, "")) {
            try Self.apply(Self.chunk([1, 2, 3], range: .all, epoch: 1), first)
        }
        #expect(store.rowCount(of: "sample") == 0)
    }

    @Test func `a chunk that overlaps an earlier one is refused whole`() throws {
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        let applier = try Self.applier(store)
        let (low, high) = HashRange.all.halves!
        let keys = Array(0..<2_000 as Range<UInt64>)
        let long: (UInt64) -> String = {
            String(repeating: "\($0 % 10)", count: $0 % 5 == 0 ? 2_000 : 5)
        }
        // The upper half first, then a chunk of all rows: its lower half would have room.
        let upper = keys.filter { high.contains(Self.hashKey.hash($0)) }.prefix(300)
        try Self.apply(
            Self.chunk(Array(upper), range: high, epoch: 1, token: long), applier)
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try Self.apply(
                Self.chunk(Array(keys.prefix(600)), range: .all, epoch: 1, token: long), applier)
        }
        #expect(table.count == upper.count)
        let lower = keys.filter { low.contains(Self.hashKey.hash($0)) }.prefix(300)
        try Self.apply(Self.chunk(Array(lower), range: low, epoch: 1, token: long), applier)
        for key in Array(upper) + Array(lower) { #expect(table[key]?.token == long(key)) }
        #expect(table.count == upper.count + lower.count)
    }
}
