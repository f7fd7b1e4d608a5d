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
    /// The regions of that checkpoint or stream.
    var regions: [Region] = []
    /// Its chunks, if they were asked for.
    var chunks: [Chunk]?

    /// One checkpoint of a repository.
    struct Checkpoint: Codable {
        var epoch: UInt64
        var created: String
        var writer: String
        var rows: Int
        var byteCount: Int
        var packs: Int
        var codec: String
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

    /// One region.
    struct Region: Codable {
        var name: String
        var kind: String
        var rows: Int
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

    init(name: String, checkpoints: [Checkpoint]? = nil, damaged: [Damage]? = nil) {
        self.name = name
        self.checkpoints = checkpoints
        self.damaged = damaged
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
}

extension Inspection.Region {
    init(_ schema: RegionSchema) {
        self.init(
            name: schema.name, kind: "\(schema.kind)", rows: 0, byteCount: 0, chunkCount: 0,
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
        guard let epoch else { return text }
        text += text.isEmpty ? "\(name): a stream of epoch \(epoch)\n" : "\nepoch \(epoch)\n"
        for region in regions {
            text +=
                "\n\(region.rows.grouped) rows in \(region.chunkCount.grouped) chunks, "
                + "\(byteText(region.byteCount)), \(Self.perRow(region.byteCount, region.rows)) a row; "
                + "wire fingerprint \(region.wireFingerprint)\n"
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
                byteText(checkpoint.byteCount), perRow(checkpoint.byteCount, checkpoint.rows),
                durationText(checkpoint.pause), durationText(checkpoint.encode),
                durationText(checkpoint.total), checkpoint.codec,
            ]
            return (checkpoint.epoch, cells)
        }
        lines += damaged.map { ($0.epoch, ["\($0.epoch)", "DAMAGED"]) }
        lines.sort { $0.epoch < $1.epoch }
        var text = "\(name): \(lines.count) checkpoint\(lines.count == 1 ? "" : "s")\n"
        guard !lines.isEmpty else { return text }
        var table = TextTable([
            "epoch", "created", "rows", "size", "a row", "pause", "encode", "in all", "codec",
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
