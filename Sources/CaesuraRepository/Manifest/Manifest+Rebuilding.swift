internal import CaesuraFormat

extension Manifest {
    /// Makes the manifest of a checkpoint anew from its packs, for when the file is damaged.
    ///
    /// The packs are a stream that describes itself. It must be whole: with a manifest *and* a pack damaged
    /// nobody can tell which chunks are missing.
    ///
    /// - Throws: `damaged` with the place where the packs are not a whole stream.
    init(rebuildingFrom storage: any Storage, epoch: UInt64) throws(RepositoryError) {
        var scan = PackScan(storage: storage, epoch: epoch)
        let names = try storage.list(Layout.packs).filter { Layout.epoch(ofPack: $0) == epoch }
        for index in names.indices { try scan.read(pack: index) }
        // Reading what it writes checks its soundness.
        let path = storage.display(Layout.manifest(epoch))
        self = try Manifest(parsing: scan.finish().encoded, path: path, epoch: epoch)
    }
}

/// Takes the packs of a checkpoint apart without a manifest.
private struct PackScan {
    private let storage: any Storage
    private let epoch: UInt64
    private var manifest: Manifest?
    private var end: StreamEnd?
    private var buffer: [UInt8] = []

    init(storage: any Storage, epoch: UInt64) {
        self.storage = storage
        self.epoch = epoch
    }

    private func problem(_ message: String, _ path: String, _ offset: Int?) -> RepositoryError {
        RepositoryError(
            .damaged, "the manifest cannot be made anew from the packs: \(message)", path: path,
            offset: offset, epoch: epoch)
    }

    mutating func read(pack: Int) throws(RepositoryError) {
        let path = storage.display(Layout.pack(epoch, pack))
        let file = try storage.open(Layout.pack(epoch, pack))
        var hasher = DigestHasher()
        var offset = 0
        while offset < file.size {
            let length = try headerLength(file, offset, path)
            try fill(min(length, file.size - offset), file, offset)
            do throws(FormatError) {
                try take(pack: pack, offset)
            } catch {
                throw problem(error.message, path, error.offset)
            }
            unsafe hasher.update(buffer.span.bytes)
            offset += buffer.count
        }
        manifest?.packs.append(Manifest.Pack(bytes: file.size, digest: hasher.digest))
    }

    private mutating func fill(
        _ count: Int, _ file: any StorageReader, _ offset: Int
    ) throws(RepositoryError) {
        buffer = [UInt8](repeating: 0, count: count)
        var span = buffer.mutableSpan
        var bytes = unsafe span.mutableBytes
        try file.read(at: offset, into: &bytes)
    }

    /// The length that the chunk's header states, bounded by the limits.
    private mutating func headerLength(
        _ file: any StorageReader, _ offset: Int, _ path: String
    ) throws(RepositoryError) -> Int {
        // The header's own length is one byte.
        try fill(min(255, file.size - offset), file, offset)
        do throws(FormatError) {
            return try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(FormatError) in
                try unsafe ChunkHeader(reading: UnsafeRawBufferPointer(bytes), origin: offset)
                    .chunkLength
            }
        } catch {
            throw problem(error.message, path, error.offset)
        }
    }

    /// Verifies the chunk in the buffer and adds it.
    private mutating func take(pack: Int, _ offset: Int) throws(FormatError) {
        let isFirst = manifest == nil
        var metadata: StreamMetadata?
        var end: StreamEnd?
        let header = try unsafe buffer.withUnsafeBufferPointer { (bytes) throws(FormatError) in
            let chunk = try unsafe VerifiedChunk(
                verifying: UnsafeRawBufferPointer(bytes), origin: offset)
            var decoder = ChunkDecoder()
            if isFirst { metadata = try decoder.decode(metadata: chunk) }
            if chunk.header.role == .end { end = try decoder.decode(end: chunk) }
            return chunk.header
        }
        guard self.end == nil else {
            throw FormatError(.malformed, "a chunk behind the end", at: offset)
        }
        if let metadata {
            guard metadata.epoch == epoch else {
                throw FormatError(.malformed, "a chunk of another epoch", at: offset)
            }
            manifest = Manifest(
                metadata: metadata, created: WallClock(microseconds: 0),
                writer: "rebuilt from packs")
        }
        self.end = end
        let facts = ChunkFacts(header)
        if let region = facts.region {
            guard let count = manifest?.regions.count, region < count else {
                throw FormatError(.malformed, "a chunk of a region there is not", at: offset)
            }
            manifest?.regions[region].rows += facts.rows
            manifest?.regions[region].storedBytes += facts.length
        }
        guard header.targetEpoch == manifest?.epoch(of: facts.region), header.baseEpoch == 0 else {
            throw FormatError(.malformed, "a chunk of another epoch", at: offset)
        }
        manifest?.chunks.append(Manifest.Chunk(pack: pack, offset: offset, facts: facts))
    }

    func finish() throws(RepositoryError) -> Manifest {
        guard var manifest, let end else { throw incomplete }
        let logs = manifest.regions.indices.filter { manifest.regions[$0].schema.kind == .log }
        // The file that is made of it is read again, and then heads are compared with chunks.
        for (region, head) in zip(logs, end.heads) { manifest.regions[region].head = head }
        guard end == manifest.streamEnd else { throw incomplete }
        return manifest
    }

    private var incomplete: RepositoryError {
        problem("they are not a whole stream", storage.display(Layout.packs), nil)
    }
}
