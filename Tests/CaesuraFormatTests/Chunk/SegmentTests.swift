import CaesuraFormat
import CaesuraTesting
import Testing

@Suite struct SegmentTests {
    @Test func `the pieces of a large value add up to it`() throws {
        let sample = try SampleStream()
        let layout = try RegionLayout(SampleStream.blobs)
        var content: [UInt8] = []
        for bytes in sample.chunks[..<2] {
            try unsafe bytes.withUnsafeBytes { buffer in
                let chunk = try unsafe VerifiedChunk(verifying: buffer)
                var decoder = ChunkDecoder()
                let segment = try decoder.decode(segment: chunk, layout: layout)
                #expect(segment.leaf == 1 && segment.row == 1 && segment.offset == content.count)
                unsafe content.append(contentsOf: segment.bytes)
            }
        }
        #expect(content == SampleStream.large)
    }

    @Test func `a batch names its segmented values by row, through optionals too`() throws {
        let inner = FieldType.structure([
            Field(number: 1, name: "a", type: .optional(.bytes)),
            Field(number: 2, name: "b", type: .array(.uint32)),
        ])
        var region = SampleStream.blobs
        region.row.fields.append(Field(number: 2, name: "maybe", type: .optional(inner)))
        let layout = try RegionLayout(region)
        let long = [UInt8](repeating: 1, count: 65_537)
        let words = [Value](repeating: .uint(5), count: 16_385)
        let batch = ColumnBatch(
            layout,
            rows: [
                [.string("a"), .bytes([]), .none],
                [.string("b"), .bytes(long), .structure([.none, .array(words)])],
                [.string("c"), .bytes([]), .none],
                [.string("d"), .bytes([]), .structure([.bytes(long), .array([])])],
            ])
        #expect(layout.leaves.count == 6)
        #expect(
            batch.segmentedValues == [
                SegmentedValue(row: 1, leaf: 1, byteCount: 65_537),
                SegmentedValue(row: 1, leaf: 5, byteCount: 65_540),
                SegmentedValue(row: 3, leaf: 4, byteCount: 65_537),
            ])
    }

    @Test func `a core chunk keeps the length of a segmented value and not its content`() throws {
        let layout = try RegionLayout(SampleStream.blobs)
        let long = [UInt8](repeating: 7, count: 65_537)
        let inline = [UInt8](repeating: 8, count: 65_536)
        for value in [long, inline] {
            let bytes = encodeChunk(layout, rows: [[.string("k"), .bytes(value)]])
            let batch = ColumnBatch(leaves: layout.leaves)
            try unsafe bytes.withUnsafeBytes { buffer in
                var decoder = ChunkDecoder()
                try decoder.decode(
                    core: try unsafe VerifiedChunk(verifying: buffer), layout: layout, into: batch)
            }
            #expect(unsafe batch.columns[1].lengths[0] == UInt32(value.count))
            #expect(batch.columns[1].contentByteCount == (value.count == 65_537 ? 0 : 65_536))
            #expect(batch.segmentedValues.count == (value.count == 65_537 ? 1 : 0))
        }
    }

    @Test func `missing, repeated and reordered segments are refused`() throws {
        let sample = try SampleStream()
        let (first, second, core) = (sample.chunks[0], sample.chunks[1], sample.chunks[2])
        func accepts(_ chunks: [[UInt8]]) -> Bool {
            do {
                var rows = StreamRows(limits: Limits())
                rows.layouts = [try RegionLayout(SampleStream.blobs)]
                for chunk in chunks {
                    var result: Result<Void, FormatError> = .success(())
                    unsafe chunk.withUnsafeBytes { buffer in
                        result = Result { () throws(FormatError) in
                            try rows.decode(try unsafe VerifiedChunk(verifying: buffer))
                        }
                    }
                    try result.get()
                }
                return true
            } catch {
                return false
            }
        }
        #expect(accepts([first, second, core]))
        #expect(!accepts([first, core]))
        #expect(!accepts([core]))
        #expect(!accepts([second, core]))
        #expect(!accepts([second, first, core]))
        #expect(!accepts([first, second, second, core]))
        #expect(!accepts([first, second, core, core]))
    }

    @Test func `a piece that is empty, too long or out of step is refused`() throws {
        let layout = try RegionLayout(SampleStream.blobs)
        let good = Forger(try SampleStream().chunks[1])
        func code(_ body: [UInt8]) throws -> FormatError.Code? {
            let forged = Forger(
                role: 6, fingerprint: layout.wireFingerprint.rawValue,
                varints: [UInt64(body.count), UInt64(body.count), 0, 1, 2, 1, 0, 0, 7, 0, 0],
                body: body)
            let bytes = forged.chunk
            var code: FormatError.Code?
            unsafe bytes.withUnsafeBytes { buffer in
                do throws(FormatError) {
                    var decoder = ChunkDecoder()
                    _ = try decoder.decode(
                        segment: try unsafe VerifiedChunk(verifying: buffer), layout: layout)
                } catch {
                    code = error.code
                }
            }
            return code
        }
        #expect(try code(good.body) == nil)
        #expect(try code([1, 0, 0, 9]) == nil)
        #expect(try code([1, 0, 0]) == .malformed)
        #expect(try code([1, 0, 1, 9]) == .malformed)
        #expect(try code([2, 0, 0, 9]) == .malformed)
        #expect(try code([1, 0x80, 0x40, 0, 9]) == .malformed)
        #expect(try code([1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 9]) == .limitExceeded)
        #expect(try code([1, 0, 0] + [UInt8](repeating: 0, count: 1 << 20)) == nil)
        #expect(try code([1, 0, 0] + [UInt8](repeating: 0, count: 1 << 20 + 1)) == .malformed)
    }
}
