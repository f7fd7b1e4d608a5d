internal import CaesuraFormat

extension Manifest {
    /// The longest chunk: the largest body that a reader's default limits allow, and 64 KiB of header.
    public static let chunkByteLimit = Limits().storedBytes + 65_536

    /// Checks everything that can be told without looking into the packs.
    func checkSoundness(_ parts: ManifestParts, _ path: String) throws(RepositoryError) {
        let check = SoundnessCheck(manifest: self, path: path)
        try check.heads()
        try check.packNames(parts.packs?.map(\.name) ?? [])
        try check.tiling()
        try check.order()
        try check.positions()
        try check.sums(parts)
    }
}

/// The rules of `docs/REPOSITORY.md` section 4.3, in its order.
private struct SoundnessCheck {
    let manifest: Manifest
    let path: String

    private func fail(_ member: String, _ message: String) -> RepositoryError {
        RepositoryError(.damaged, "\(member) \(message)", path: path, epoch: manifest.epoch)
    }

    func heads() throws(RepositoryError) {
        if let previous = manifest.previousEpoch, previous >= manifest.epoch {
            throw fail("previous", "is \(previous), not before epoch \(manifest.epoch)")
        }
        for (index, pair) in zip(manifest.regions, manifest.regions.dropFirst()).enumerated() {
            guard pair.0.name.utf8.lexicographicallyPrecedes(pair.1.name.utf8) else {
                throw fail("regions[\(index + 1)].name", "is not behind the one before it")
            }
        }
        do throws(FormatError) {
            _ = try StreamMetadata(
                epoch: manifest.epoch, hashKey: manifest.hashKey,
                partitionBits: manifest.partitionBits, regions: manifest.regions.map(\.schema))
        } catch {
            throw fail("regions", "are not those of a stream: \(error.message)")
        }
    }

    /// A name is never used as a path: it must be the one that the epoch and the index give.
    func packNames(_ names: [String]) throws(RepositoryError) {
        for (index, name) in names.enumerated() {
            let expected = Layout.packName(manifest.epoch, index)
            guard name == expected else {
                throw fail("packs[\(index)].name", "is not \(expected)")
            }
        }
    }

    /// The chunks lie back to back, and fill every pack.
    func tiling() throws(RepositoryError) {
        var pack = -1
        var end = 0
        for (index, chunk) in manifest.chunks.enumerated() {
            let member = "chunks[\(index)]"
            if pack < 0 || (chunk.pack == pack + 1 && end == manifest.packs[pack].bytes) {
                pack += 1
                end = 0
            }
            guard chunk.pack == pack, pack < manifest.packs.count else {
                throw fail("\(member).pack", "is \(chunk.pack), which does not follow")
            }
            guard chunk.offset == end else {
                throw fail(
                    "\(member).offset", "is \(chunk.offset), and the chunk before ends at \(end)")
            }
            guard chunk.facts.length > 0, chunk.facts.length <= manifest.packs[pack].bytes - end
            else {
                throw fail(
                    "\(member).length",
                    "is \(chunk.facts.length), and the pack has \(manifest.packs[pack].bytes - end) more"
                )
            }
            end += chunk.facts.length
        }
        guard pack == manifest.packs.count - 1, pack < 0 || end == manifest.packs[pack].bytes else {
            throw fail("chunks", "do not fill the packs")
        }
    }

    /// Metadata first, end last, regions in order, hash ranges ascending.
    func order() throws(RepositoryError) {
        let last = manifest.chunks.count - 1
        guard last >= 1 else { throw fail("chunks", "lack a metadata or an end chunk") }
        var previous: ChunkFacts?
        for (index, chunk) in manifest.chunks.enumerated() {
            let facts = chunk.facts
            let member = "chunks[\(index)]"
            let expected: ChunkRole? = index == 0 ? .metadata : index == last ? .end : nil
            let isFrame = facts.role == .metadata || facts.role == .end
            guard expected == (isFrame ? facts.role : nil) else {
                throw fail(
                    "\(member).role", "is \(facts.role.word), which does not belong here")
            }
            if isFrame {
                guard facts.region == nil, facts.rows == 0 else {
                    throw fail("\(member).region", "does not go with role \(facts.role.word)")
                }
                guard previous?.role != .segment else {
                    throw fail(member, "follows a segment whose core chunk is missing")
                }
            } else {
                try place(facts, member)
                if let previous { try succession(previous, facts, member) }
                previous = facts
            }
        }
    }

    /// The chunk is one that its region can have.
    private func place(_ facts: ChunkFacts, _ member: String) throws(RepositoryError) {
        guard let region = facts.region, region < manifest.regions.count else {
            throw fail("\(member).region", "is not one of the \(manifest.regions.count) regions")
        }
        let kind = manifest.regions[region].schema.kind
        let fits =
            switch kind {
            case .table: facts.role == .core || facts.role == .segment
            case .log: facts.role == .log || facts.role == .segment
            case .cell: facts.role == .cell || facts.role == .segment
            }
        guard fits else {
            throw fail(
                "\(member).role",
                "is \(facts.role.word) in a \(kind.word)")
        }
        let bits = kind == .table ? manifest.partitionBits : 0
        let prefixBits = facts.range.prefixBits
        switch kind {
        case .table:
            guard prefixBits >= bits else {
                throw fail("\(member).prefixBits", "is \(prefixBits), less than \(bits)")
            }
        case .log, .cell:
            let only = kind == .log ? 64 : 0
            guard prefixBits == only else {
                throw fail("\(member).prefixBits", "is \(prefixBits), not \(only)")
            }
        }
        // A shift by 64 gives 0: without partition bits there is one partition, number 0.
        guard UInt64(facts.partition) == facts.range.first >> UInt64(64 - bits) else {
            throw fail("\(member).partition", "is \(facts.partition), and prefix says otherwise")
        }
        if facts.role == .segment, facts.rows != 0 {
            throw fail("\(member).rows", "is \(facts.rows), and a segment has none")
        }
        if facts.role == .core || facts.role == .log,
            !(1...Limits.rowsPerChunk).contains(facts.rows)
        {
            throw fail("\(member).rows", "is \(facts.rows), not 1 to \(Limits.rowsPerChunk)")
        }
        if facts.role == .cell, facts.rows != 1 {
            throw fail("\(member).rows", "is \(facts.rows), and a cell has 1")
        }
        if kind == .log { try position(facts, member) }
    }

    /// The rows of a log's chunk have positions, all of one stretch.
    private func position(_ facts: ChunkFacts, _ member: String) throws(RepositoryError) {
        let (first, stretch) = (facts.range.first, Limits.positionsPerStretch)
        guard first < Limits.logPositions, first % stretch + UInt64(facts.rows) <= stretch else {
            throw fail("\(member).prefix", "is \(first), with rows of two stretches")
        }
    }

    /// The chunk may stand behind the one before it.
    private func succession(
        _ previous: ChunkFacts, _ facts: ChunkFacts, _ member: String
    ) throws(RepositoryError) {
        let sameRegion = previous.region == facts.region
        if previous.role == .segment {
            guard sameRegion, previous.range == facts.range else {
                throw fail(member, "does not have the region and range of the segment before it")
            }
            return
        }
        guard previous.region! <= facts.region! else {
            throw fail("\(member).region", "is \(facts.region!), before the one of the last chunk")
        }
        guard !sameRegion || previous.range.last < facts.range.first else {
            throw fail("\(member).prefix", "overlaps or precedes the range of the last chunk")
        }
    }

    /// The chunks of each log leave no position out, from its head on.
    func positions() throws(RepositoryError) {
        var next = manifest.regions.map(\.head)
        for (index, chunk) in manifest.chunks.enumerated() {
            guard let region = chunk.facts.region, manifest.regions[region].schema.kind == .log
            else { continue }
            guard chunk.facts.range.first == next[region] else {
                throw fail(
                    "chunks[\(index)].prefix",
                    "is \(chunk.facts.range.first), and the log goes on at \(next[region])")
            }
            // No sum overflows: `position` was checked.
            next[region] += UInt64(chunk.facts.rows)
        }
    }

    /// Rows and bytes add up.
    func sums(_ parts: ManifestParts) throws(RepositoryError) {
        var rows = [Int](repeating: 0, count: manifest.regions.count)
        var bytes = rows
        // No sum overflows: 2^20 chunks of less than 2^31 rows and 2^27 bytes.
        for chunk in manifest.chunks {
            guard let region = chunk.facts.region else { continue }
            rows[region] += chunk.facts.rows
            bytes[region] += chunk.facts.length
        }
        for (index, region) in manifest.regions.enumerated() {
            guard region.rows == rows[index] else {
                throw fail(
                    "regions[\(index)].rows",
                    "is \(region.rows), and its chunks have \(rows[index])")
            }
            guard region.storedBytes == bytes[index] else {
                throw fail(
                    "regions[\(index)].storedBytes",
                    "is \(region.storedBytes), and its chunks have \(bytes[index])")
            }
        }
        guard let totals = parts.totals, totals.rows == manifest.rows,
            totals.chunks == manifest.chunks.count, totals.storedBytes == manifest.storedBytes
        else { throw fail("totals", "do not fit regions, chunks and packs") }
    }
}
