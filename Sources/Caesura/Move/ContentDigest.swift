package import CaesuraFormat

/// The content digest of chunks of a snapshot, in their order: `docs/MIGRATION.md` section 6.
struct ContentChecksum {
    private(set) var value: UInt64 = 0
    private(set) var rowCount: UInt64 = 0

    mutating func add(_ header: ChunkHeader, ofRegion name: String) {
        if header.role != .segment { rowCount += UInt64(header.rowCount) }
        add(Self.checksum(of: name))
        add(header.range.first)
        add(header.bodyChecksum)
    }

    private mutating func add(_ word: UInt64) { value = Checksum.of(value, word) }

    private static func checksum(of name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { unsafe Checksum.of(UnsafeRawBufferPointer($0)) }
    }
}

/// Works out the content digest of a part at a cut: `docs/MIGRATION.md` section 6.
///
///     let digest = try ContentDigest(of: .rows(range), at: cut, in: ["sessions"])
///     while try digest.advance() {}
///     print(digest.value, digest.rowCount)
///
/// Two stores whose regions have the same schemas come to the same digest if they have the same rows, whatever epochs
/// and pages those lie in. Memory: the columns of one chunk. Each step encodes one chunk of rows, at most 256 KiB, and
/// holds no lock; a snapshot takes as long.
package final class ContentDigest {
    /// The digest of what has been looked at.
    package var value: UInt64 { checksum.value }
    /// The rows that have been looked at.
    package var rowCount: UInt64 { checksum.rowCount }
    private var checksum = ContentChecksum()
    private let source: SnapshotSource
    private let worker: SnapshotSource.Worker
    private let regions: Set<Int>

    /// Begins.
    ///
    /// - Parameters:
    ///   - part: The part.
    ///   - cut: The cut, which must stay open.
    ///   - names: The regions that are looked at.
    package init(of part: StorePart, at cut: Cut, in names: Set<String>) throws(FormatError) {
        let source = try SnapshotSource(cut, of: part)
        worker = SnapshotSource.Worker(for: source)
        regions = Set(
            source.metadata.regions.indices.filter { index in
                names.contains(source.metadata.regions[index].name)
            })
        self.source = source
    }

    /// Looks at the next chunk of rows; false when there is none.
    ///
    /// - Throws: `cutClosed`, `cutCancelled`.
    package func advance() throws(StoreError) -> Bool {
        guard let job = try source.next() else { return false }
        guard regions.contains(job.region) else { return true }
        let name = source.metadata.regions[job.region].name
        try unsafe source.encode(
            job, with: worker,
            emit: { (header, _) throws(StoreError) in checksum.add(header, ofRegion: name) },
            refused: { $0 })
        return true
    }
}
