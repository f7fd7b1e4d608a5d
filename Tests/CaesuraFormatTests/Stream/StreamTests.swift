import CaesuraFormat
import CaesuraTesting
import Testing

@Suite struct StreamTests {
    @Test func `a stream gives back its metadata, chunks and totals`() throws {
        for compression in [Compression.none, .zstd(level: -1)] {
            let sample = try SampleStream(compression: compression)
            let contents = try StreamContents(sample.bytes, pieces: { _ in .max })
            #expect(contents.metadata == sample.metadata)
            #expect(contents.chunks == sample.chunks)
            #expect(contents.end?.chunkCount == 7)
            #expect(contents.end?.regions.map(\.rows) == [2, 15])
            #expect(contents.end?.regions.map(\.chunks) == [3, 3])
            #expect(try SampleStream(compression: compression).bytes == sample.bytes)
        }
    }

    @Test func `the pieces in which a stream comes change nothing`() throws {
        let small = try SampleStream(withLargeValue: false)
        let whole = try StreamContents(small.bytes, pieces: { _ in .max })
        for size in [1, 2, 3, 7, 54, 55, 56, 100] {
            #expect(try StreamContents(small.bytes, pieces: { _ in size }) == whole)
        }
        var random = RandomSchema(seed: RandomSchema.seed)
        let large = try SampleStream()
        let contents = try StreamContents(large.bytes, pieces: { _ in random.below(100_000) })
        #expect(contents.chunks == large.chunks, "seed \(random.seed)")
    }

    @Test func `a stream cut anywhere is truncated where it ends`() throws {
        let bytes = try SampleStream(withLargeValue: false).bytes
        for length in 0..<bytes.count {
            let error = #expect(throws: FormatError.self) {
                try StreamContents(Array(bytes[..<length]), pieces: { _ in .max })
            }
            #expect(error?.code == .truncated && error?.offset == length)
        }
    }

    @Test func `a stream with any bit changed is refused`() throws {
        let bytes = try SampleStream(withLargeValue: false).bytes
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                #expect(throws: FormatError.self) {
                    try StreamContents(changed, pieces: { _ in .max })
                }
            }
        }
    }

    @Test func `bytes behind the end are refused`() throws {
        let bytes = try SampleStream(withLargeValue: false).bytes
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try StreamContents(bytes + [0xCA], pieces: { _ in .max })
        }
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try StreamContents(bytes + bytes, pieces: { _ in 1 })
        }
    }

    @Test func `a failed reader stays failed`() throws {
        var bytes = try SampleStream(withLargeValue: false).bytes
        bytes[20] ^= 1
        var reader = StreamReader()
        reader.push(bytes)
        for _ in 0..<3 {
            var code: FormatError.Code?
            do { _ = try reader.next() } catch { code = error.code }
            #expect(code == .checksumMismatch)
        }
        #expect(throws: FormatError(.checksumMismatch, "", at: 0)) {
            var reader = StreamReader()
            reader.push(bytes)
            _ = try? reader.next()
            try reader.finish()
        }
    }

    @Test func `metadata with regions out of order or a critical option is refused`() throws {
        let bytes = try SampleStream(withLargeValue: false).bytes

        var forger = Forger(Array(bytes))
        #expect(forger.body.count > 18)
        // The body: 16 bytes of key, partition bits, number of options.
        forger.body = Array(forger.body[..<17])
        func metadata(_ tail: [UInt8]) throws -> FormatError? {
            let body = forger.body + tail
            let chunk = Forger(
                role: 1, fingerprint: 0,
                varints: [UInt64(body.count), UInt64(body.count), 0, 0, 0, 0, 0, 0, 7, 0, 0],
                body: body
            ).chunk
            var reader = StreamReader()
            reader.push(chunk)
            do {
                _ = try reader.next()
                return nil
            } catch {
                return error
            }
        }
        #expect(try metadata([0, 0]) == nil)
        #expect(try metadata([1, 4, 2, 9, 9, 0]) == nil)
        #expect(try metadata([1, 2, 1, 6, 0]) == nil)
        #expect(try metadata([1, 3, 0, 0])?.code == .unsupported)
        #expect(try metadata([2, 4, 0, 2, 0, 0])?.code == .malformed)
        #expect(try metadata([2, 4, 0, 4, 0, 0])?.code == .malformed)
        #expect(try metadata([1, 2, 2, 6, 6, 0])?.code == .malformed)
        #expect(try metadata([65])?.code == .limitExceeded)
        #expect(try metadata([0, 0, 0])?.code == .malformed)
        var region = ByteWriter()
        session.encode(into: &region)
        let one = [UInt8(region.count)] + region.array
        #expect(try metadata([0, 1] + one) == nil)
        #expect(try metadata([0, 2] + one + one)?.code == .malformed)
        #expect(
            try metadata([0, 1, UInt8(region.count + 1)] + region.array + [0])?.code == .malformed)
        forger.body[16] = 17
        #expect(try metadata([0, 0])?.code == .malformed)
    }
}
