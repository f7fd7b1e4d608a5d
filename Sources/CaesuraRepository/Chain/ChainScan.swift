internal import CaesuraFormat

/// Finds the entries of a chain file by the headers of their chunks; of the bodies it reads those of end and
/// commit chunks only.
///
/// - Complexity: O(chunks), reading what lies between small ones too.
struct ChainScan {
    private let file: any StorageReader
    private var found: ChainFile
    /// Bytes of the file from `windowStart` on.
    private var window: [UInt8] = []
    private var windowStart = 0
    private static let windowBytes = 256 << 10

    private init(_ file: any StorageReader, path: String, baseEpoch: UInt64) {
        self.file = file
        found = ChainFile(path: path, baseEpoch: baseEpoch)
    }

    /// Scans a file.
    static func scan(
        _ path: String, baseEpoch: UInt64, in storage: any Storage
    ) throws(RepositoryError) -> ChainFile {
        var scan = ChainScan(try storage.open(path), path: path, baseEpoch: baseEpoch)
        try scan.run()
        return scan.found
    }

    private mutating func run() throws(RepositoryError) {
        var offset = 0
        while offset < file.size {
            switch try entry(at: offset) {
            case .success(let entry):
                found.entries.append(entry)
                offset += entry.length
            case .failure(let problem):
                found.tail = ChainFile.Tail(
                    offset: offset, length: file.size - offset, problem: problem,
                    lostEpoch: try lostEpoch(from: offset))
                return
            }
        }
    }

    // MARK: Entries

    /// Reads an entry; a failure says what is wrong with its bytes.
    private mutating func entry(
        at start: Int
    ) throws(RepositoryError) -> Result<ChainEntry, FormatError> {
        var offset = start
        // The first entry's base is known by its epoch only; whoever goes along the chain checks the identity.
        let base = found.entries.last?.commit.state
        var digest = base ?? 0
        var chunkCount = 0
        var changes = 0
        var end: StreamEnd?
        var epoch: UInt64?
        while true {
            let header: ChunkHeader
            switch try self.header(at: offset) {
            case .success(let found): header = found
            case .failure(let problem): return .failure(problem)
            }
            guard isWhole(header, at: offset) else {
                return .failure(
                    FormatError(
                        .truncated, "the file ends inside a chunk's body", at: file.size))
            }
            func problem(_ message: String) -> Result<ChainEntry, FormatError> {
                .failure(FormatError(.malformed, message, at: offset))
            }
            guard header.baseEpoch == found.lastEpoch, header.targetEpoch > header.baseEpoch,
                header.targetEpoch == epoch ?? header.targetEpoch
            else { return problem("a chunk of another epoch") }
            epoch = header.targetEpoch
            switch header.role {
            case .segment, .delta, .log, .cell:
                guard end == nil else { return problem("a chunk behind the delta's end") }
                digest = Checksum.of(digest, header.identity)
                chunkCount += 1
                changes += header.rowCount
            case .end:
                guard end == nil else { return problem("a second end chunk") }
                let decoded = try decode(at: offset, header) {
                    (decoder, chunk) throws(FormatError) in try decoder.decode(end: chunk)
                }
                switch decoded {
                case .success(let found): end = found
                case .failure(let problem): return .failure(problem)
                }
                guard end?.chunkCount == UInt64(chunkCount),
                    end?.byteCount == UInt64(offset - start), base == nil || end?.digest == digest
                else { return problem("the delta is not what its end chunk says") }
            case .commit:
                let decoded = try decode(at: offset, header) {
                    (decoder, chunk) throws(FormatError) in try decoder.decode(commit: chunk)
                }
                switch decoded {
                case .failure(let problem): return .failure(problem)
                case .success(let commit):
                    guard let end, commit.state == end.digest,
                        commit.byteCount == UInt64(offset - start),
                        commit.rows.count == end.regions.count
                    else { return problem("the delta is not what its commit chunk says") }
                    guard Self.canBeCounted(commit.rows) else {
                        return problem("a delta of more rows than can be counted")
                    }
                    return .success(
                        ChainEntry(
                            file: found.path, offset: start,
                            length: offset + header.chunkLength - start,
                            end: end, changes: changes,
                            epoch: header.targetEpoch, baseEpoch: header.baseEpoch, commit: commit))
                }
            case .metadata, .core:
                return problem("a \(header.role) chunk, which no delta has")
            }
            offset += header.chunkLength
        }
    }

    /// Whether the sum of numbers of rows is in range.
    private static func canBeCounted(_ rows: [UInt64]) -> Bool {
        var sum = 0
        for count in rows {
            let (next, isTooLarge) = sum.addingReportingOverflow(Int(clamping: count))
            guard !isTooLarge, next < .max else { return false }
            sum = next
        }
        return true
    }

    /// The header of the chunk at an offset, whose body the file may lack.
    private mutating func header(
        at offset: Int
    ) throws(RepositoryError) -> Result<ChunkHeader, FormatError> {
        let bytes = try bytes(at: offset, upTo: 255)
        do throws(FormatError) {
            return .success(
                try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                    try unsafe ChunkHeader(reading: UnsafeRawBufferPointer(bytes), origin: offset)
                })
        } catch {
            return .failure(error)
        }
    }

    /// Whether the chunk at an offset lies in the file whole.
    private func isWhole(_ header: ChunkHeader, at offset: Int) -> Bool {
        header.chunkLength <= file.size - offset
    }

    private mutating func decode<Body>(
        at offset: Int, _ header: ChunkHeader,
        _ decode: (inout ChunkDecoder, VerifiedChunk) throws(FormatError) -> Body
    ) throws(RepositoryError) -> Result<Body, FormatError> {
        let bytes = try bytes(at: offset, upTo: header.chunkLength)
        do throws(FormatError) {
            let body = try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                var decoder = ChunkDecoder()
                return try decode(
                    &decoder,
                    unsafe VerifiedChunk(
                        verifying: UnsafeRawBufferPointer(bytes), origin: offset))
            }
            return .success(body)
        } catch {
            return .failure(error)
        }
    }

    // MARK: The tail

    /// The largest epoch that a chunk of an entry behind a tail's first leads to.
    private mutating func lostEpoch(from start: Int) throws(RepositoryError) -> UInt64? {
        var lost: UInt64?
        var offset = start
        while offset < file.size {
            if case .success(let header) = try header(at: offset) {
                // The last one may lack its body: the writer was stopped, and what was before it had been acknowledged.
                if header.baseEpoch != found.lastEpoch { lost = max(lost ?? 0, header.targetEpoch) }
                if isWhole(header, at: offset) {
                    offset += header.chunkLength
                    continue
                }
            }
            guard let next = try nextMagic(after: offset) else { return lost }
            offset = next
        }
        return lost
    }

    private mutating func nextMagic(after offset: Int) throws(RepositoryError) -> Int? {
        var start = offset + 1
        let magic = ChunkHeader.magicBytes
        while start + magic.count <= file.size {
            // What is left of the window first: or many a magic in it would have it read again.
            let left = start < windowStart ? 0 : windowStart + window.count - start
            let block = try bytes(
                at: start, upTo: left >= magic.count ? left : Self.windowBytes)
            let last = block.endIndex - magic.count
            for index in block.startIndex...last where block[index] == magic[0] {
                if block[index...].starts(with: magic) { return start + index - block.startIndex }
            }
            start += block.count - magic.count + 1
        }
        return nil
    }

    // MARK: Bytes

    /// The bytes from an offset on, fewer at the end of the file.
    private mutating func bytes(
        at offset: Int, upTo count: Int
    ) throws(RepositoryError) -> ArraySlice<UInt8> {
        let count = min(count, file.size - offset)
        if offset < windowStart || offset + count > windowStart + window.count {
            let size = min(max(Self.windowBytes, count), file.size - offset)
            if window.count != size { window = [UInt8](repeating: 0, count: size) }
            windowStart = offset
            let file = file
            var span = window.mutableSpan
            var raw = unsafe span.mutableBytes
            try file.read(at: offset, into: &raw)
        }
        return window[offset - windowStart..<offset - windowStart + count]
    }
}
