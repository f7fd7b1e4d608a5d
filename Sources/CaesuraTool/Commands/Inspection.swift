import CaesuraFormat
import CaesuraRepository

/// What `caesura inspect` shows, for people and as JSON.
struct Inspection: Codable {
    /// What was looked into.
    var name: String
    /// The repository's checkpoints, oldest first; nil for a stream.
    var checkpoints: [Checkpoint]?
    /// Those whose manifests cannot be read, oldest first; nil for a stream.
    var damaged: [Damage]?
    /// The epoch that the rest is about.
    var epoch: UInt64?
    /// What it is as a delta; nil for a full checkpoint and for a stream.
    var delta: Delta?
    /// The regions of that checkpoint or stream.
    var regions: [Region] = []
    /// Its chunks, if they were asked for.
    var chunks: [Chunk]?
    /// Deltas that are lost.
    var losses: [String] = []
    /// Ends of chain files that are no whole deltas.
    var unfinished: [UnfinishedTail] = []

    /// One checkpoint of a repository.
    struct Checkpoint: Codable {
        var epoch: UInt64
        /// The epoch that a delta builds on; nil for a full one.
        var base: UInt64?
        var created: String
        /// Of a full one.
        var writer: String?
        var rows: Int
        /// Changed rows of a delta.
        var changes: Int?
        var byteCount: Int
        /// Of a full one.
        var packs: Int?
        /// Of a full one.
        var codec: String?
        /// Nanoseconds.
        var pause: UInt64
        /// Nanoseconds, all threads together.
        var encode: UInt64
        /// Nanoseconds from the cut to the commit.
        var total: UInt64
    }

    /// A checkpoint whose manifest cannot be read.
    struct Damage: Codable {
        var epoch: UInt64
        /// What is wrong and where.
        var problem: String
    }

    /// A checkpoint that is a delta.
    struct Delta: Codable {
        /// The epoch that it builds on.
        var base: UInt64
        /// Rows that were inserted, updated or removed.
        var changes: Int
        /// Bytes in the chain file.
        var byteCount: Int
        /// The chain file.
        var file: String
    }

    /// One region.
    struct Region: Codable {
        var name: String
        var kind: String
        /// Rows at the epoch.
        var rows: Int
        /// Changed rows of a delta.
        var changes: Int?
        var byteCount: Int
        var chunkCount: Int
        var wireFingerprint: String
        var resolutionFingerprint: String
        var schema: String
    }

    /// One chunk.
    struct Chunk: Codable {
        var index: Int
        var role: String
        var region: String?
        var partition: Int?
        var range: String?
        var rows: Int
        var byteCount: Int
        var file: String
        var offset: Int
    }

    init(
        name: String, checkpoints: [Checkpoint]? = nil, damaged: [Damage]? = nil,
        _ unfinished: [CheckpointLog.Unfinished] = []
    ) {
        self.name = name
        self.checkpoints = checkpoints
        self.damaged = damaged
        self.unfinished = unfinished.map { UnfinishedTail($0) }
    }

    // MARK: Filling it

    /// Shows a checkpoint.
    mutating func show(_ reader: CheckpointReader) {
        let manifest = reader.manifest
        epoch = manifest.epoch
        regions = manifest.regions.map { Region($0.schema) }
        chunks = []
        for chunk in manifest.chunks {
            note(
                chunk.facts.role, region: chunk.facts.region, partition: chunk.facts.partition,
                range: chunk.facts.range, rows: chunk.facts.rows, byteCount: chunk.facts.length,
                file: reader.path(ofPack: chunk.pack), offset: chunk.offset)
        }
    }

    /// Shows a checkpoint that is a delta.
    mutating func show(_ contents: DeltaContents) {
        let checkpoint = contents.checkpoint
        epoch = checkpoint.epoch
        delta = Delta(
            base: checkpoint.base ?? 0, changes: checkpoint.changes ?? 0,
            byteCount: checkpoint.storedBytes, file: contents.path)
        regions = contents.schemas.map { Region($0) }
        for index in regions.indices { regions[index].changes = 0 }
        chunks = []
        for chunk in contents.chunks {
            let facts = chunk.facts
            // Those of a version or a base that cannot be read.
            guard let region = facts.region, regions.indices.contains(region) else { continue }
            note(
                facts.role, region: region, partition: facts.partition, range: facts.range,
                rows: facts.rows, byteCount: facts.length, file: contents.path,
                offset: chunk.offset)
            regions[region].changes? += facts.rows
        }
        for (index, region) in checkpoint.regions.enumerated() where index < regions.count {
            regions[index].rows = region.rows
        }
    }

    /// Shows a piece of a stream.
    mutating func show(_ item: StreamReader.Item) {
        switch item {
        case .metadata(let metadata):
            epoch = metadata.epoch
            regions = metadata.regions.map { Region($0) }
            chunks = []
        case .chunk(let chunk):
            let header = chunk.header
            note(
                header.role, region: header.region, partition: header.partition,
                range: header.range, rows: header.rowCount, byteCount: header.chunkLength,
                file: name, offset: chunk.offset)
        case .end: break
        }
    }

    private mutating func note(
        _ role: ChunkRole, region: Int?, partition: Int, range: HashRange, rows: Int,
        byteCount: Int, file: String, offset: Int
    ) {
        if let region {
            if role == .core || role == .log || role == .cell { regions[region].rows += rows }
            regions[region].byteCount += byteCount
            regions[region].chunkCount += 1
        }
        let index = chunks?.count ?? 0
        chunks?.append(
            Chunk(
                index: index, role: "\(role)",
                region: region.map { regions[$0].name },
                partition: region.map { _ in partition },
                range: region.map {
                    regions[$0].kind == "log" ? "position \(range.first)" : "\(range)"
                },
                rows: rows, byteCount: byteCount, file: file, offset: offset))
    }
}

extension Inspection.Checkpoint {
    init(_ manifest: Manifest) {
        self.init(
            epoch: manifest.epoch, created: "\(manifest.created)", writer: manifest.writer,
            rows: manifest.rows, byteCount: manifest.storedBytes, packs: manifest.packs.count,
            codec: manifest.codec, pause: manifest.timings.pause,
            encode: manifest.timings.encode, total: manifest.timings.total)
    }

    /// A delta.
    init(_ checkpoint: Checkpoint) {
        self.init(
            epoch: checkpoint.epoch, base: checkpoint.base, created: "\(checkpoint.created)",
            rows: checkpoint.rows, changes: checkpoint.changes, byteCount: checkpoint.storedBytes,
            pause: checkpoint.timings.pause, encode: checkpoint.timings.encode,
            total: checkpoint.timings.total)
    }
}

extension Inspection.Region {
    init(_ schema: RegionSchema) {
        self.init(
            name: schema.name, kind: "\(schema.kind)", rows: 0, changes: nil, byteCount: 0,
            chunkCount: 0,
            wireFingerprint: "\(schema.wireFingerprint)",
            resolutionFingerprint: "\(schema.resolutionFingerprint)",
            schema: schema.description)
    }
}

extension Inspection {
    /// What a person reads.
    var text: String {
        var text = ""
        if let checkpoints { text += Self.text(name, checkpoints, damaged ?? []) }
        for loss in losses { text += "  lost: \(loss)\n" }
        for tail in unfinished { text += "  skipped: \(tail.text)\n" }
        guard let epoch else { return text }
        text += text.isEmpty ? "\(name): a stream of epoch \(epoch)\n" : "\nepoch \(epoch)\n"
        if let delta {
            text +=
                "  a delta of \(counted(delta.changes, "change")) since epoch \(delta.base), "
                + "\(byteText(delta.byteCount)) in \(delta.file)\n"
        }
        for region in regions {
            text += "\n\(region.rows.grouped) rows"
            if let changes = region.changes {
                text += ", \(changes.grouped) changed, in \(counted(region.chunkCount, "chunk"))"
            } else {
                text += " in \(region.chunkCount.grouped) chunks"
            }
            let rows = region.changes ?? region.rows
            text +=
                ", \(byteText(region.byteCount)), \(Self.perRow(region.byteCount, rows)) a "
                + "\(region.changes == nil ? "row" : "change"); wire fingerprint \(region.wireFingerprint)\n"
            text += region.schema.split(separator: "\n", omittingEmptySubsequences: false)
                .map { "  \($0)\n" }.joined()
        }
        if let chunks { text += "\n" + Self.table(chunks).text }
        return text
    }

    private static func text(
        _ name: String, _ checkpoints: [Checkpoint], _ damaged: [Damage]
    ) -> String {
        var lines: [(epoch: UInt64, cells: [String])] = checkpoints.map { checkpoint in
            let cells = [
                "\(checkpoint.epoch)", checkpoint.created, checkpoint.rows.grouped,
                checkpoint.changes.map(\.grouped) ?? "all", byteText(checkpoint.byteCount),
                perRow(checkpoint.byteCount, checkpoint.changes ?? checkpoint.rows),
                durationText(checkpoint.pause), durationText(checkpoint.encode),
                durationText(checkpoint.total), checkpoint.codec ?? "delta",
            ]
            return (checkpoint.epoch, cells)
        }
        lines += damaged.map { ($0.epoch, ["\($0.epoch)", "DAMAGED"]) }
        lines.sort { $0.epoch < $1.epoch }
        var text = "\(name): \(lines.count) checkpoint\(lines.count == 1 ? "" : "s")\n"
        guard !lines.isEmpty else { return text }
        var table = TextTable([
            "epoch", "created", "rows", "changed", "size", "a row", "pause", "encode", "in all",
            "codec",
        ])
        for line in lines { table.append(line.cells) }
        text += table.text
        for damage in damaged { text += "  epoch \(damage.epoch): \(damage.problem)\n" }
        return text
    }

    private static func table(_ chunks: [Chunk]) -> TextTable {
        var table = TextTable([
            "chunk", "role", "region", "partition", "rows", "bytes", "offset", "hashes or position",
        ])
        for chunk in chunks {
            table.append([
                "\(chunk.index)", chunk.role, chunk.region ?? "",
                chunk.partition.map { "\($0)" } ?? "",
                chunk.rows.grouped, chunk.byteCount.grouped, chunk.offset.grouped,
                chunk.range ?? "",
            ])
        }
        return table
    }

    private static func perRow(_ byteCount: Int, _ rows: Int) -> String {
        rows == 0 ? "–" : (Double(byteCount) / Double(rows)).fixed(1) + " B"
    }
}
