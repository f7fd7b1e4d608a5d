import Caesura
import CaesuraFormat

/// A delta chunk that no writer of ours has written, whose checksums hold: `docs/FORMAT.md`, "Delta body".
struct ForgedDelta {
    var range = HashRange.all
    /// Counted from the target that the store has.
    var epochs: UInt64 = 1
    /// Rows that the range had.
    var baseRowCount: UInt64
    /// The position of the one updated row, less than 8.
    var updated: Int? = 0
    /// The position of the one removed row, less than 8.
    var removed: Int?
    /// The changed leaves, the first that is not the key's as bit 0, and their blocks.
    var mask: UInt8 = 0
    var blocks: [[UInt8]] = []
    /// The number of inserted rows and their core body.
    var inserted: (count: Int, body: [UInt8]) = (0, [])

    /// The chunk for a store with an only table.
    func chunk(for store: Store) throws -> [UInt8] {
        guard let ancestor = store.ancestor else { fatalError("a store that was restored") }
        let layout = try RegionLayout(store.regions[0])
        var body = ByteWriter()
        body.append(littleEndian: ancestor.digest)
        body.append(0)
        body.append(varint: baseRowCount)
        body.append(contentsOf: Self.set(removed))
        body.append(contentsOf: Self.set(updated))
        if updated != nil {
            body.append(varint: 1)
            body.append(mask)
            for block in blocks {
                body.append(varint: UInt64(block.count))
                body.append(contentsOf: block)
            }
        }
        body.append(varint: UInt64(inserted.count))
        if inserted.count > 0 {
            body.append(varint: UInt64(inserted.body.count))
            body.append(contentsOf: inserted.body)
        }
        let changes = inserted.count + (updated == nil ? 0 : 1) + (removed == nil ? 0 : 1)
        return Self.chunk(
            body.array, fingerprint: layout.wireFingerprint.rawValue,
            varints: [
                UInt64(body.count), UInt64(body.count), 0, 0, UInt64(range.prefixBits),
                range.prefixBits == 0 ? 0 : range.first >> UInt64(64 - range.prefixBits), 0,
                ancestor.epoch, ancestor.epoch + epochs, UInt64(changes), 0,
            ])
    }

    private static func set(_ position: Int?) -> [UInt8] {
        position.map { [0, 1, 1 << UInt8($0)] } ?? [0, 0]
    }

    private static func chunk(
        _ body: [UInt8], fingerprint: UInt64, varints: [UInt64]
    ) -> [UInt8] {
        var header = ByteWriter()
        header.append(contentsOf: [0xCA, 0xE5, 0x52, 0x0A, 1, 0, 3, 0, 0])
        header.append(littleEndian: fingerprint)
        header.append(littleEndian: checksum(body))
        for varint in varints { header.append(varint: varint) }
        header.overwrite(at: 5, with: UInt8(header.count + 8))
        header.append(littleEndian: checksum(header.array))
        return header.array + body
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) }
    }
}
