import CaesuraFormat
import CaesuraTesting
import Testing

@Suite struct HostileChunkTests {
    /// The varints of a core chunk's header in their order.
    struct Fields {
        var stored: UInt64 = 3
        var decoded: UInt64 = 3
        var region: UInt64 = 0
        var partition: UInt64 = 0
        var prefixBits: UInt64 = 0
        var prefix: UInt64 = 0
        var sequence: UInt64 = 0
        var base: UInt64 = 0
        var target: UInt64 = 7
        var rows: UInt64 = 5
        var key: UInt64 = 0

        var varints: [UInt64] {
            [
                stored, decoded, region, partition, prefixBits, prefix, sequence, base, target,
                rows,
                key,
            ]
        }
    }

    func error(
        role: UInt8 = 2, body: [UInt8] = [1, 2, 3], codec: UInt8 = 0, flags: UInt8 = 0,
        tail: [UInt8] = [], _ change: (inout Fields) -> Void
    ) throws -> FormatError? {
        var fields = Fields()
        change(&fields)
        let layout = try RegionLayout(session)
        var forger = Forger(
            role: role, fingerprint: layout.wireFingerprint.rawValue, varints: fields.varints,
            body: body)
        forger.header[7] = flags
        forger.header[8] = codec
        forger.header += tail
        let chunk = forger.chunk
        do {
            _ = try decodeChunk(chunk, layout)
            return nil
        } catch {
            return error
        }
    }

    @Test func `huge lengths are refused by the header, before memory is asked for`() throws {
        #expect(
            try error {
                $0.stored = 1 << 40; $0.decoded = 1 << 40
            }?.code == .limitExceeded)
        #expect(
            try error {
                $0.stored = .max; $0.decoded = .max
            }?.code == .limitExceeded)
        #expect(try error(codec: 1) { $0.decoded = 1 << 40 }?.code == .limitExceeded)
        #expect(try error { $0.rows = 8193 }?.code == .limitExceeded)
        #expect(try error { $0.rows = .max }?.code == .limitExceeded)
        #expect(try error { $0.region = 1 << 32 }?.code == .limitExceeded)
        #expect(try error { $0.partition = 1 << 16 }?.code == .limitExceeded)
    }

    @Test func `fields that contradict each other are malformed`() throws {
        #expect(try error { $0.decoded = 4 }?.code == .malformed)
        #expect(try error(codec: 1) { $0.decoded = 3 }?.code == .malformed)
        #expect(try error { $0.prefix = 1 }?.code == .malformed)
        #expect(try error { $0.prefixBits = 65 }?.code == .malformed)
        #expect(
            try error {
                $0.prefixBits = 3; $0.prefix = 8
            }?.code == .malformed)
        #expect(try error { $0.rows = 0 }?.code == .malformed)
        #expect(try error { $0.base = 7 }?.code == .malformed)
        #expect(try error { $0.base = 8 }?.code == .malformed)
        #expect(try error(role: 6) { _ in }?.code == .malformed)
        #expect(try error(role: 1) { _ in }?.code == .malformed)
        #expect(try error(role: 7) { $0.rows = 0 }?.code == .malformed)
        // A delta chunk has a base, changes, and no partition.
        #expect(try error(role: 3) { $0.base = 0 }?.code == .malformed)
        #expect(try error(role: 3) { $0.base = 7 }?.code == .malformed)
        // A cell chunk has one row and no range.
        #expect(try error(role: 5) { _ in }?.code == .malformed)
        #expect(
            try error(role: 5) {
                $0.rows = 1; $0.prefixBits = 64
            }?.code == .malformed)
        #expect(
            try error(role: 5) {
                $0.rows = 1; $0.base = 1
            }?.code == .malformed)
        // A segment chunk has a base, if any, that is before its target, and then no partition.
        #expect(
            try error(role: 6) {
                $0.rows = 0; $0.base = 7
            }?.code == .malformed)
        #expect(
            try error(role: 6) {
                $0.rows = 0; $0.base = 6; $0.partition = 1
            }?.code == .malformed)
        #expect(try error(tail: [0]) { _ in }?.code == .malformed)
    }

    @Test func `a log chunk has a position, rows of one stretch, and no epoch`() throws {
        func error(_ change: (inout Fields) -> Void) throws -> FormatError? {
            try self.error(role: 4) { fields in
                fields.prefixBits = 64
                fields.prefix = 8_190
                fields.target = 0
                fields.rows = 2
                change(&fields)
            }
        }
        // Only that the region of this suite is a table is wrong.
        #expect(try error { _ in }?.message == "a log chunk where a core chunk must be")
        for change: (inout Fields) -> Void in [
            { $0.rows = 3 }, { $0.rows = 0 },
            {
                $0.prefixBits = 0; $0.prefix = 0
            },
            { $0.prefixBits = 63 }, { $0.partition = 1 }, { $0.target = 7 },
            {
                $0.base = 3; $0.target = 2
            }, { $0.prefix = 1 << 63 }, { $0.prefix = .max },
            { $0.prefix = 1 << 63 - 1 }, { $0.prefix = 8_191 },
        ] {
            #expect(try error(change)?.code == .malformed)
        }
        #expect(
            try error {
                $0.prefix = 1 << 63 - 2
            }?.message == "a log chunk where a core chunk must be")
    }

    @Test func `what is reserved is unsupported`() throws {
        for role in [0, 9, 255] as [UInt8] {
            #expect(try error(role: role) { _ in }?.code == .unsupported)
        }
        #expect(try error(flags: 1) { _ in }?.code == .unsupported)
        #expect(try error(codec: 2) { _ in }?.code == .unsupported)
        #expect(try error { $0.key = 1 }?.code == .unsupported)
    }

    @Test func `a directory that lies is malformed`() throws {
        let layout = try RegionLayout(session)
        let good = Forger(encodeChunk(layout, rows: ChunkTests.rows))
        func error(_ change: (inout [UInt8]) -> Void) -> FormatError? {
            var forger = good
            change(&forger.body)
            do {
                _ = try decodeChunk(forger.chunk, layout)
                return nil
            } catch {
                return error
            }
        }
        // One byte for the count, then two for each of six leaves.
        #expect(error { _ in } == nil)
        #expect(error { $0[0] = 5 }?.code == .malformed)
        #expect(error { $0[0] = 7 }?.code == .malformed)
        #expect(error { $0[1] = 1 }?.code == .malformed)
        #expect(error { $0[3] = 0 }?.code == .malformed)
        #expect(error { $0[3] = 9 }?.code == .malformed)
        #expect(
            error {
                $0[2] += 1; $0[4] -= 1
            } != nil)
        #expect(error { $0[2] = 0 }?.code == .malformed)
        #expect(error { $0[12] += 1 }?.code == .malformed)
        #expect(error { $0[12] = 0x7F }?.code == .malformed)
    }

    @Test func `a frame that is not zstd, is cut or says another length is malformed`() throws {
        let layout = try RegionLayout(session)
        let rows = Array(repeating: ChunkTests.rows, count: 200).flatMap(\.self)
        let good = Forger(encodeChunk(layout, rows: rows, compression: .zstd(level: 3)))
        #expect(good.header[8] == 1)
        for index in good.body.indices {
            var forger = good
            forger.body[index] ^= 0x55
            #expect(throws: (any Error).self, "byte \(index)") {
                let changed = try decodeChunk(forger.chunk, layout)
                // A changed literal can still be a chunk; then it is one of other rows.
                if changed != rows { throw FormatError(.malformed, "other rows", at: 0) }
            }
        }
    }

    @Test func `a small chunk cannot ask for much memory`() throws {
        // Equal strings are cheap to claim: 15 of 60,000 bytes in each of 20 columns are 18 MB.
        var region = SampleStream.blobs
        region.row.fields = (1...20).map { Field(number: $0, name: "f\($0)", type: .bytes) }
        let layout = try RegionLayout(region)
        let long = Value.bytes([UInt8](repeating: 0x78, count: 60_000))
        let row = [Value.string("")] + Array(repeating: long, count: 20)
        let bytes = encodeChunk(
            layout, rows: Array(repeating: row, count: 15), compression: .zstd(level: 1))
        #expect(bytes.count < 2000)
        let target = ColumnBatch(leaves: layout.leaves)
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) {
            try unsafe bytes.withUnsafeBytes { buffer in
                var decoder = ChunkDecoder()
                try decoder.decode(
                    core: try unsafe VerifiedChunk(verifying: buffer), layout: layout, into: target)
            }
        }
        #expect(target.columns.map { $0.contentCapacity }.reduce(0, +) <= 2 << 20)
        #expect(target.rowCount == 0 && target.columns.allSatisfy { $0.count == 0 })
    }
}
