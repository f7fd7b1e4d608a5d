internal import CaesuraFormat

extension Repository {
    /// Reads a checkpoint whole and compares every byte with what was written.
    ///
    /// - Parameters:
    ///   - epoch: The checkpoint; the newest one if nil.
    ///   - progress: Called with the bytes read so far, on a thread of the repository's own.
    /// - Returns: What is wrong and what is still good. A damaged checkpoint is a result, not an error.
    /// - Throws: `notFound` if there is none, `unsupported` if a newer version wrote it, `storage` if a pack cannot
    ///   be opened: nobody can tell then what is in it.
    public func verify(
        at epoch: UInt64? = nil, progress: (@Sendable (Int) -> Void)? = nil
    ) async throws(RepositoryError) -> VerifyReport {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            let epoch = try self.resolve(epoch)
            let catalog = try Catalog(self.storage)
            if let entry = catalog.entry(epoch), !catalog.isFull(epoch) {
                // That what it builds on can be had is part of it.
                do throws(RepositoryError) {
                    _ = try catalog.path(to: epoch, in: self.storage)
                } catch  where error.code == .damaged {
                    var report = VerifyReport(epoch: epoch)
                    report.base = entry.baseEpoch
                    report.problems = [error]
                    return report
                }
                var deltas = DeltaVerification(self.storage, catalog)
                return try deltas.verify(entry)
            }
            return try self.verifyFull(epoch, cancellation, progress)
        }
    }

    /// Reads all checkpoints whole and compares every byte with what was written.
    ///
    /// Those that have been removed and that others are restored through are among them.
    /// A delta that is good may build on one that is damaged: ``VerifyReport/base``.
    ///
    /// - Parameters:
    ///   - progress: Called with the bytes read so far of all of them.
    ///   - report: Called with each report, oldest first. Both on a thread of the repository's own.
    public func verifyAll(
        progress: (@Sendable (Int) -> Void)? = nil,
        report: @escaping @Sendable (VerifyReport) -> Void
    ) async throws(RepositoryError) {
        try await OwnThread.run { (cancellation) throws(RepositoryError) in
            let catalog = try Catalog(self.storage)
            var deltas = DeltaVerification(self.storage, catalog)
            var bytesRead = 0
            for epoch in (catalog.epochs + catalog.underlying).sorted() {
                try cancellation.check()
                let before = bytesRead
                let next: VerifyReport
                if let entry = catalog.entry(epoch), !catalog.isFull(epoch) {
                    next = try deltas.verify(entry)
                } else {
                    next = try self.verifyFull(epoch, cancellation) { progress?(before + $0) }
                }
                bytesRead += next.bytesRead
                progress?(bytesRead)
                report(next)
            }
        }
    }

    private func verifyFull(
        _ epoch: UInt64, _ cancellation: Cancellation, _ progress: ((Int) -> Void)?
    ) throws(RepositoryError) -> VerifyReport {
        let reader: CheckpointReader
        do throws(RepositoryError) {
            reader = try CheckpointReader(storage: storage, epoch: epoch)
        } catch  where error.code == .damaged {
            var report = VerifyReport(epoch: epoch)
            report.problems = [error]
            return report
        }
        var verification = Verification(reader)
        return try verification.run(cancellation, progress)
    }

    /// What shows that checkpoints are missing that somebody was told of, whether there are newer ones or not.
    public func losses() async throws(RepositoryError) -> [RepositoryError] {
        try await OwnThread.run { () throws(RepositoryError) in
            try Catalog(self.storage).damagedTails(in: self.storage)
        }
    }

    /// The epoch asked for, or that of the newest checkpoint.
    func resolve(_ epoch: UInt64?) throws(RepositoryError) -> UInt64 {
        if let epoch { return epoch }
        guard let newest = try listEpochs().last else {
            throw RepositoryError(
                .notFound, "the repository has no checkpoint yet", path: storage.display(""))
        }
        return newest
    }
}

/// One pass over a checkpoint's packs, chunk by chunk.
struct Verification {
    private let reader: CheckpointReader
    private var damaged: Set<Int> = []
    private var problems: [RepositoryError] = []
    private var bytesRead = 0
    private var buffer: [UInt8] = []
    /// The number of the chunk at hand among those of its region and partition.
    private var sequence: UInt64 = 0

    init(_ reader: CheckpointReader) { self.reader = reader }

    /// Verifies all packs and reports.
    mutating func run(
        _ cancellation: Cancellation, _ progress: ((Int) -> Void)? = nil
    ) throws(RepositoryError) -> VerifyReport {
        let manifest = reader.manifest
        var first = 0
        for pack in manifest.packs.indices {
            let end = manifest.chunks[first...].firstIndex { $0.pack != pack }
            let chunks = first..<(end ?? manifest.chunks.count)
            try verify(pack, chunks, cancellation, progress)
            first = chunks.upperBound
        }
        var report = VerifyReport(manifest, damaged: damaged, problems: problems)
        report.bytesRead = bytesRead
        return report
    }

    private mutating func verify(
        _ pack: Int, _ chunks: Range<Int>, _ cancellation: Cancellation,
        _ progress: ((Int) -> Void)?
    ) throws(RepositoryError) {
        var hasher = DigestHasher()
        var isWhole = true
        do throws(RepositoryError) {
            try reader.checkPack(pack)
        } catch  where error.code == .damaged {
            problems.append(error)
            isWhole = false
        }
        for index in chunks {
            try cancellation.check()
            advance(to: index)
            do throws(RepositoryError) {
                try reader.read(index, into: &buffer)
            } catch {
                // A pack that is missing or short has been told once, not for each of its chunks.
                if isWhole || error.code == .storage { problems.append(error) }
                damaged.insert(index)
                continue
            }
            unsafe hasher.update(buffer.span.bytes)
            bytesRead += buffer.count
            progress?(bytesRead)
            do throws(RepositoryError) {
                try verifyChunk(index)
            } catch {
                problems.append(error)
                damaged.insert(index)
            }
        }
        let stated = reader.manifest.packs[pack].digest
        if isWhole, damaged.isDisjoint(with: chunks), hasher.digest != stated {
            problems.append(
                RepositoryError(
                    .damaged,
                    "each chunk is whole, but the pack's digest is \(hasher.digest), and the "
                        + "manifest says \(stated)", path: reader.path(ofPack: pack),
                    epoch: reader.manifest.epoch))
        }
    }

    /// Counts the chunks of a partition: manifests do not repeat their sequence, because it follows from them.
    private mutating func advance(to index: Int) {
        let chunks = reader.manifest.chunks
        let facts = chunks[index].facts
        guard index > 0, chunks[index - 1].facts.region == facts.region,
            chunks[index - 1].facts.partition == facts.partition
        else {
            sequence = 0
            return
        }
        // A log's chunks are counted anew in each stretch; a segment's own chunk of rows may follow it.
        let region = facts.region.map { reader.manifest.regions[$0] }
        let beginsStretch =
            region?.schema.kind == .log && facts.range.first % Limits.positionsPerStretch == 0
            && facts.range != chunks[index - 1].facts.range
        sequence = beginsStretch ? 0 : sequence + 1
    }

    private func verifyChunk(_ index: Int) throws(RepositoryError) {
        let manifest = reader.manifest
        try reader.check(index, buffer) { (chunk) throws(RepositoryError) in
            var decoder = ChunkDecoder()
            do throws(FormatError) {
                switch chunk.header.role {
                case .metadata:
                    let metadata = try decoder.decode(metadata: chunk)
                    try expect(
                        metadata.regions == manifest.metadata.regions
                            && metadata.hashKey == manifest.hashKey
                            && metadata.partitionBits == manifest.partitionBits, chunk)
                case .end:
                    let end = try decoder.decode(end: chunk)
                    try expect(end == manifest.streamEnd, chunk)
                default:
                    let region = manifest.regions[chunk.header.region].schema
                    try expect(
                        chunk.header.fingerprint == region.wireFingerprint
                            && chunk.header.sequence == sequence, chunk)
                }
            } catch {
                throw reader.problem(error, index)
            }
        }
    }

    private func expect(_ holds: Bool, _ chunk: VerifiedChunk) throws(FormatError) {
        guard holds else {
            throw FormatError(
                .malformed,
                "the \(chunk.header.role.word) chunk and the manifest contradict each other",
                at: chunk.offset)
        }
    }
}

extension Manifest {
    /// What the stream's end chunk says: FORMAT.md, "End body".
    var streamEnd: StreamEnd {
        var end = StreamEnd(regionCount: regions.count)
        end.heads = heads
        for chunk in chunks.dropLast() {
            end.chunkCount += 1
            end.byteCount += UInt64(chunk.facts.length)
            end.digest = unsafe withUnsafeBytes(
                of: (end.digest.littleEndian, chunk.facts.identity.littleEndian)
            ) { unsafe Checksum.of($0) }
            guard let region = chunk.facts.region else { continue }
            end.regions[region].rows += UInt64(chunk.facts.rows)
            end.regions[region].chunks += 1
        }
        return end
    }

    /// The positions of the first rows of the logs, in the order of the regions.
    var heads: [UInt64] { regions.filter { $0.schema.kind == .log }.map(\.head) }

    /// The identity of the state that the checkpoint holds.
    var identity: UInt64 { state ?? streamEnd.digest }
}
