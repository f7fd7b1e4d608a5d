import CaesuraFormat

@testable import CaesuraRepository

/// A checkpoint taken apart, to be written again with chunks that no writer of ours makes and checksums that
/// fit.
struct ForgedCheckpoint {
    var chunks: [[UInt8]] = []
    private let manifest: Manifest

    init(_ storage: MemoryStorage, epoch: UInt64) throws {
        let reader = try CheckpointReader(storage: storage, epoch: epoch)
        manifest = reader.manifest
        var buffer: [UInt8] = []
        for index in manifest.chunks.indices {
            try reader.read(index, into: &buffer)
            chunks.append(buffer)
        }
    }

    /// The bytes of a chunk's varint; 0 is the first behind the fixed fields.
    static func varint(_ index: Int, of chunk: [UInt8]) -> Int {
        var offset = 25
        for _ in 0..<index {
            while chunk[offset] >= 0x80 { offset += 1 }
            offset += 1
        }
        return offset
    }

    /// Changes a chunk, and makes its checksums fit.
    mutating func change(_ index: Int, _ body: (inout [UInt8], Int) -> Void) {
        let length = Int(chunks[index][5])
        body(&chunks[index], length)
        Self.seal(&chunks[index])
    }

    /// Writes it; the end chunk's digest is made to fit.
    func write() throws -> MemoryStorage {
        let storage = MemoryStorage()
        let repository = try Repository(location: .storage(storage), access: .write)
        var blank = manifest
        blank.chunks = []
        blank.packs = []
        for index in blank.regions.indices {
            blank.regions[index].rows = 0
            blank.regions[index].storedBytes = 0
        }
        var chunks = chunks
        var facts = try chunks.map { ChunkFacts(try Self.header($0)) }
        var whole = blank
        whole.chunks = facts.map { Manifest.Chunk(pack: 0, offset: 0, facts: $0) }
        let last = chunks.count - 1
        var digest = Int(chunks[last][5])
        for _ in 0..<2 {
            while chunks[last][digest] >= 0x80 { digest += 1 }
            digest += 1
        }
        chunks[last].replaceSubrange(
            digest..<digest + 8, with: Self.bytes(of: whole.streamEnd.digest))
        Self.seal(&chunks[last])
        facts[last] = ChunkFacts(try Self.header(chunks[last]))
        try repository.claim()
        defer { repository.endCheckpoint() }
        let writer = try repository.beginCheckpoint(blank)
        for (chunk, facts) in zip(chunks, facts) {
            try unsafe writer.append(chunk.span.bytes, facts)
        }
        _ = try writer.commit(Manifest.Timings())
        return storage
    }

    private static func header(_ chunk: [UInt8]) throws -> ChunkHeader {
        try unsafe chunk.withUnsafeBytes { try unsafe ChunkHeader(reading: $0) }
    }

    /// Makes a chunk's checksums fit.
    static func seal(_ chunk: inout [UInt8]) {
        let length = Int(chunk[5])
        chunk.replaceSubrange(17..<25, with: checksum(Array(chunk[length...])))
        chunk.replaceSubrange(length - 8..<length, with: checksum(Array(chunk[..<(length - 8)])))
    }

    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        Self.bytes(of: unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) })
    }

    private static func bytes(of word: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }
}
