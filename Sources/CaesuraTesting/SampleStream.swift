import CaesuraFormat

/// A stream of one region with rows of values, as a program of that schema would write it.
struct SampleStream {
    let schema: RegionSchema
    /// The rows, key fields first, in the order of the stream.
    let rows: [[Value]]
    let bytes: [UInt8]

    /// Writes rows at random; of a table some keys may come twice, and are then written once.
    init(of schema: RegionSchema, rows count: Int, seed: UInt64) throws(FormatError) {
        self.schema = schema
        let layout = try RegionLayout(schema)
        var random = RandomValues(seed: seed)
        let hashKey = HashKey(k0: seed, k1: ~seed)
        let keyFields = schema.key?.fields ?? []
        var entries: [(hash: UInt64, key: [UInt8], row: [Value])] = []
        for _ in 0..<(schema.kind == .cell ? 1 : count) {
            let row = layout.fields.map { random.value($0.type) }
            let key = Self.canonical(Array(row.prefix(keyFields.count)), keyFields)
            let hash = unsafe key.withUnsafeBytes { unsafe hashKey.hash(bytes: $0) }
            if schema.kind == .table, entries.contains(where: { $0.key == key }) { continue }
            entries.append((hash, key, row))
        }
        if schema.kind == .table {
            entries.sort {
                $0.hash != $1.hash ? $0.hash < $1.hash : $0.key.lexicographicallyPrecedes($1.key)
            }
        }
        rows = entries.map(\.row)
        let metadata = try StreamMetadata(
            epoch: 1, hashKey: hashKey, partitionBits: 0, regions: [schema])
        var writer = try Self.writer(metadata)
        var encoder = ChunkEncoder()
        let header =
            schema.kind == .log
            ? ChunkHeader(
                role: .log, region: 0, fingerprint: layout.wireFingerprint, position: 0, sequence: 0
            )
            : ChunkHeader(
                role: schema.kind.rowRole, region: 0, fingerprint: layout.wireFingerprint,
                partition: 0, range: .all, sequence: 0, targetEpoch: 1)
        encoder.encode(core: ColumnBatch(layout, rows: rows), header: header)
        unsafe writer.append(encoder.bytes)
        bytes = writer.finish().bytes
    }

    private static func writer(
        _ metadata: StreamMetadata
    ) throws(FormatError) -> StreamWriter<ByteArraySink> {
        StreamWriter(metadata: metadata, to: ByteArraySink())
    }

    /// The bytes that a key is hashed by: `docs/FORMAT.md`, "Key hash".
    private static func canonical(_ values: [Value], _ fields: [Field]) -> [UInt8] {
        let leafCount = fields.reduce(0) { $0 + $1.type.leafCount }
        var bytes: [UInt8] = []
        func append(_ value: Value, _ type: FieldType) {
            func content(_ content: [UInt8]) {
                if leafCount > 1 {
                    for shift in [0, 8, 16, 24] {
                        bytes.append(UInt8(content.count >> shift & 255))
                    }
                }
                bytes += content
            }
            switch (type, value) {
            case (.scalar(let scalar), _), (.enumeration(.scalar(let scalar), _), _):
                bytes += value.bytes(scalar)
            case (_, .string(let string)): content(Array(string.utf8))
            case (_, .bytes(let some)): content(some)
            case (.array(let element), .array(let values)):
                content(values.flatMap { $0.bytes(element) })
            case (.optional, .none): bytes.append(0)
            case (.optional(let wrapped), _):
                bytes.append(1)
                append(value, wrapped)
            case (.structure(let fields, _), .structure(let values)):
                for (field, value) in zip(fields, values) { append(value, field.type) }
            default: preconditionFailure("a value of its field's type")
            }
        }
        for (field, value) in zip(fields, values) { append(value, field.type) }
        return bytes
    }

    /// The rows of a region of a stream, and the schema that they are under.
    static func rows(
        of name: String, in bytes: [UInt8]
    ) throws(FormatError) -> (schema: RegionSchema, rows: [[Value]])? {
        var reader = StreamReader()
        unsafe bytes.withUnsafeBytes { unsafe reader.push($0) }
        var decoder = ChunkDecoder()
        var found: (index: Int, layout: RegionLayout)?
        var rows: [[Value]] = []
        while let item = try reader.next() {
            switch item {
            case .metadata(let metadata):
                guard let index = metadata.regions.firstIndex(where: { $0.name == name }) else {
                    return nil
                }
                found = (index, try RegionLayout(metadata.regions[index]))
            case .chunk(let chunk):
                guard let (index, layout) = found, chunk.header.region == index,
                    chunk.header.role != .segment
                else { continue }
                let batch = ColumnBatch(leaves: layout.leaves)
                try decoder.decode(core: chunk, layout: layout, into: batch)
                rows += batch.rows(layout)
            case .end: break
            }
        }
        return found.map { ($0.layout.schema, rows) }
    }
}
