import CaesuraFormat
import CaesuraTesting
import Testing

/// Logs and cells in streams: chunks whose checksums fit, in an order that does or does not.
@Suite struct LogStreamTests {
    static let row = Schema(
        name: "visit", fields: [Field(number: 1, name: "page", type: .string)])
    static let regions = [
        RegionSchema(name: "a", kind: .log, key: nil, row: row),
        RegionSchema(name: "b", kind: .cell, key: nil, row: row),
        RegionSchema(name: "c", kind: .log, key: nil, row: row),
    ]

    struct Place {
        var role = ChunkRole.log
        var region = 0
        var position: UInt64 = 0
        var rows = 1
        var sequence: UInt64 = 0
        var epoch: UInt64 = 0
        var range: HashRange?
    }

    static func chunk(_ place: Place) throws -> [UInt8] {
        let layout = try RegionLayout(regions[place.region])
        var encoder = ChunkEncoder()
        var header = ChunkHeader(
            role: place.role, region: place.region, fingerprint: layout.wireFingerprint,
            position: place.position, sequence: place.sequence)
        header.targetEpoch = place.epoch
        if let range = place.range { header.range = range }
        if place.role == .segment {
            unsafe [1].withUnsafeBytes {
                unsafe encoder.encode(segment: $0, leaf: 0, row: 0, offset: 0, header: header)
            }
        } else {
            encoder.encode(
                core: ColumnBatch(
                    layout, rows: Array(repeating: [.string("/")], count: place.rows)),
                header: header)
        }
        return unsafe [UInt8](encoder.bytes)
    }

    /// A stream of such chunks, whose end has these heads, or those that fit.
    static func stream(_ places: [Place], heads: [UInt64]? = nil) throws -> [UInt8] {
        var encoder = ChunkEncoder()
        let metadata = try StreamMetadata(
            epoch: 7, hashKey: HashKey(k0: 1, k1: 2), partitionBits: 2, regions: regions)
        encoder.encode(metadata: metadata)
        var bytes = unsafe [UInt8](encoder.bytes)
        var end = StreamEnd(regionCount: regions.count)
        end.add(encoder.header)
        for place in places {
            let chunk = try chunk(place)
            try unsafe chunk.withUnsafeBytes { end.add(try unsafe ChunkHeader(reading: $0)) }
            bytes += chunk
        }
        end.heads =
            heads
            ?? [0, 2].map { region in
                places.first { $0.region == region }?.position ?? 0
            }
        encoder.encode(end: end, epoch: 7)
        bytes += unsafe [UInt8](encoder.bytes)
        return bytes
    }

    /// What a reader says of such a stream; nil when it is whole.
    static func error(
        _ places: Place..., heads: [UInt64]? = nil, piece: Int = .max
    ) throws -> FormatError? {
        let bytes = try stream(places, heads: heads)
        var reader = StreamReader()
        do {
            for start in stride(from: 0, to: bytes.count, by: min(piece, bytes.count)) {
                reader.push(Array(bytes[start..<min(start &+ piece, bytes.count)]))
                while try reader.next() != nil {}
            }
            try reader.finish()
            return nil
        } catch {
            return error
        }
    }

    static func cell(_ change: (inout Place) -> Void = { _ in }) -> Place {
        var place = Place(role: .cell, region: 1, epoch: 7, range: .all)
        change(&place)
        return place
    }

    @Test(arguments: [1, 7, Int.max])
    func `logs that begin anywhere, and cells, are accepted`(piece: Int) throws {
        #expect(try Self.error(piece: piece) == nil)
        #expect(
            try Self.error(
                Place(position: 5, rows: 3), Place(position: 8, sequence: 1), Self.cell(),
                Place(region: 2, position: 1 << 63 - 2),
                Place(region: 2, position: 1 << 63 - 1, sequence: 1),
                piece: piece) == nil)
        #expect(
            try Self.error(
                Place(position: 8_190, rows: 2), Place(position: 8_192, rows: 8_192),
                Place(role: .segment, position: 16_384),
                Place(position: 16_384, sequence: 1), piece: piece) == nil)
    }

    @Test func `a log without rows has the head that its end says`() throws {
        #expect(try Self.error(heads: [7, 1 << 63]) == nil)
        #expect(try Self.error(heads: [7, 1 << 63 + 1])?.code == .malformed)
        #expect(try Self.error(heads: [7, .max])?.code == .malformed)
        #expect(try Self.error(heads: [7])?.code == .malformed)
        #expect(try Self.error(heads: [7, 8, 9])?.code == .malformed)
        #expect(try Self.error(heads: [0, 0, 0, 0])?.code == .malformed)
        #expect(try Self.error(Place(position: 5), heads: [4, 0])?.code == .malformed)
        #expect(try Self.error(Place(position: 5), heads: [5, 9]) == nil)
    }

    @Test func `gaps and overlaps of positions are refused`() throws {
        for next in [0, 1, 2, 4, 8_192, 1 << 62] as [UInt64] {
            let error = try Self.error(
                Place(rows: 3), Place(position: next, sequence: next == 8_192 ? 0 : 1))
            #expect(error?.code == .malformed)
        }
        #expect(try Self.error(Place(rows: 3), Place(position: 3, sequence: 1)) == nil)
        #expect(
            try Self.error(Place(role: .segment, position: 3), Place(position: 4, sequence: 1))?
                .code == .malformed)
        #expect(try Self.error(Place(role: .segment, position: 3))?.code == .malformed)
    }

    @Test func `chunks of a log are counted anew in each stretch`() throws {
        let first = Place(rows: 8_192)
        #expect(try Self.error(first, Place(position: 8_192)) == nil)
        #expect(try Self.error(first, Place(position: 8_192, sequence: 1))?.code == .malformed)
        #expect(try Self.error(Place(), Place(position: 1))?.code == .malformed)
        #expect(try Self.error(Place(position: 8_192, sequence: 1))?.code == .malformed)
    }

    @Test func `roles, epochs and ranges are those of the region`() throws {
        #expect(try Self.error(Self.cell { $0.region = 0 })?.code == .malformed)
        #expect(try Self.error(Place(region: 1))?.code == .malformed)
        #expect(try Self.error(Place(role: .core, epoch: 7, range: .all))?.code == .malformed)
        #expect(
            try Self.error(Self.cell { $0.role = .core })?.code == .malformed)
        #expect(try Self.error(Self.cell { $0.epoch = 0 })?.code == .malformed)
        #expect(try Self.error(Self.cell(), Self.cell { $0.sequence = 1 })?.code == .malformed)
        #expect(try Self.error(Place(role: .segment, epoch: 7))?.code == .malformed)
        #expect(try Self.error(Place(role: .segment, range: .all))?.code == .malformed)
        #expect(
            try Self.error(
                Self.cell {
                    $0.role = .segment; $0.range = .position(0)
                })?.code
                == .malformed)
    }
}
