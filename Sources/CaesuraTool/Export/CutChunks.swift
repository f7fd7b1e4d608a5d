import Caesura
import CaesuraFormat

/// The chunks of a cut, region by region: what a checkpoint that is a delta has no files for.
final class CutChunks {
    private let source: SnapshotSource
    private let worker: SnapshotSource.Worker
    /// One that was taken and belongs to a later region.
    private var pending: SnapshotSource.Job?

    init(_ cut: Cut) throws(ToolError) {
        do throws(FormatError) {
            source = try SnapshotSource(cut)
        } catch {
            throw ToolError("the schema is not one this version can read: \(error)")
        }
        worker = SnapshotSource.Worker(for: source)
    }

    /// The regions, sorted by the bytes of their names.
    var schemas: [RegionSchema] { source.metadata.regions }

    /// The key of the hash that orders the rows of tables.
    var hashKey: HashKey { source.metadata.hashKey }

    /// Tables have 2 to the power of this many partitions.
    var partitionBits: Int { source.metadata.partitionBits }

    /// The positions of a log's rows.
    func positions(of log: String) -> Range<UInt64> {
        let logs = schemas.filter { $0.kind == .log }.map(\.name)
        guard let index = logs.firstIndex(of: log) else { return 0..<0 }
        let head = source.heads[index]
        return head..<head + UInt64(rowCount(of: log))
    }

    /// The number of rows of a region.
    func rowCount(of region: String) -> Int { source.cut.rowCount(of: region) ?? 0 }

    /// The next job of a region, whose turn it is or will be; nil when there are no more.
    func next(of region: Int) throws(ToolError) -> SnapshotSource.Job? {
        while true {
            if pending == nil { pending = try nextJob() }
            guard let job = pending, job.region <= region else { return nil }
            pending = nil
            if job.region == region { return job }
        }
    }

    private func nextJob() throws(ToolError) -> SnapshotSource.Job? {
        do throws(StoreError) {
            return try source.next()
        } catch {
            throw ToolError(error.description)
        }
    }

    /// Calls `body` with the chunks of a job.
    func encode(
        _ job: SnapshotSource.Job, _ body: (VerifiedChunk) throws(FormatError) -> Void
    ) throws(ToolError) {
        try unsafe source.encode(
            job, with: worker,
            emit: { (_, bytes) throws(ToolError) in
                do throws(FormatError) {
                    try body(unsafe VerifiedChunk(verifying: bytes, origin: 0))
                } catch {
                    throw ToolError("the restored rows cannot be read: \(error)")
                }
            }, refused: { ToolError($0.description) })
    }
}
