import Caesura
import CaesuraFormat

/// Columns in memory to chunks and back: codings and checksums without a table.
enum ColumnsEncoding {
    static let subject = "Caesura, columns alone"

    static func run(rows: Int, passes: Int) throws {
        let scale = short(rows)
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, subject, scale, unit, value).print()
        }
        let schema = RegionSchema(
            name: "sessions", kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: UInt64.fieldType)]),
            row: Session.schema)
        let layout = try RegionLayout(schema)
        let batches = try gather(rows: rows, layout: layout)

        var encoder = ChunkEncoder()
        var output: [UInt8] = []
        output.reserveCapacity(rows * 64)
        var ends: [Int] = []
        let encode = EncodeBenchmark.best(of: passes, rows: rows) {
            output.removeAll(keepingCapacity: true)
            ends.removeAll(keepingCapacity: true)
            for (range, batch) in batches {
                let header = ChunkHeader(
                    role: .core, region: 0, fingerprint: layout.wireFingerprint, partition: 0,
                    range: range, sequence: 0, targetEpoch: 1)
                encoder.encode(core: batch, header: header)
                unsafe output.append(contentsOf: encoder.bytes)
                ends.append(output.count)
            }
        }
        report("encode", "ns/row", encode)
        report("encoded size", "B/row", Double(output.count) / Double(rows))

        var decoder = ChunkDecoder()
        let batch = ColumnBatch(leaves: layout.leaves)
        var decoded = 0
        let decode = try EncodeBenchmark.best(of: passes, rows: rows) {
            try output.withUnsafeBytes { bytes in
                var start = 0
                for end in ends {
                    let chunk = try unsafe VerifiedChunk(
                        verifying: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                    try decoder.decode(core: chunk, layout: layout, into: batch)
                    decoded += batch.rowCount
                    start = end
                }
            }
        }
        report("restore; peers: parse", "ns/row", decode)
        guard decoded == rows * passes else { throw Failure("\(decoded) rows decoded") }
    }

    /// The rows in hash order, as the batches of chunks.
    private static func gather(
        rows: Int, layout: RegionLayout
    ) throws -> [(HashRange, ColumnBatch)] {
        let key = HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0F0E_0D0C_0B0A_0908)
        var order = (0..<rows).map { (hash: key.hash(Session.id($0)), row: $0) }
        order.sort { $0.hash < $1.hash }
        let plan = try HashRange.all.plan(
            hashes: order.map(\.hash), weights: Array(repeating: Session.stateBytes, count: rows))
        return plan.map { range, places in
            let batch = ColumnBatch(leaves: layout.leaves)
            for place in order[places] {
                let row = Session(place.row)
                append(Session.id(place.row), to: batch.columns[0])
                append(row.user, to: batch.columns[1])
                append(row.created, to: batch.columns[2])
                append(row.lastSeen, to: batch.columns[3])
                append(row.visits, to: batch.columns[4])
                append(row.ip, to: batch.columns[5])
                append(row.flags, to: batch.columns[6])
                append(row.cart, to: batch.columns[7])
                append(row.token, to: batch.columns[8])
                append(row.country, to: batch.columns[9])
            }
            batch.rowCount = places.count
            return (range, batch)
        }
    }

    private static func append<T: BitwiseCopyable>(_ value: T, to column: ColumnBuffer) {
        column.reserveCapacity(column.count + 1)
        unsafe column.values.storeBytes(
            of: value, toByteOffset: column.count * MemoryLayout<T>.size, as: T.self)
        column.count += 1
    }

    private static func append(_ text: String, to column: ColumnBuffer) {
        column.reserveCapacity(column.count + 1)
        column.reserveContent(column.contentByteCount + text.utf8.count)
        for (place, byte) in text.utf8.enumerated() {
            unsafe column.content.storeBytes(
                of: byte, toByteOffset: column.contentByteCount + place, as: UInt8.self)
        }
        unsafe column.lengths[column.count] = UInt32(text.utf8.count)
        column.contentByteCount += text.utf8.count
        column.count += 1
    }
}
