import CaesuraFormat

/// Makes chunks that nobody may write, with checksums that fit.
struct Forger {
    var header: [UInt8]
    var body: [UInt8]

    /// Takes a chunk apart.
    init(_ chunk: [UInt8]) {
        let length = Int(chunk[5])
        header = Array(chunk[..<(length - 8)])
        body = Array(chunk[length...])
    }

    /// Makes a header of its fields; the varints are those from the stored length to the key id.
    init(role: UInt8, fingerprint: UInt64, varints: [UInt64], body: [UInt8] = []) {
        var writer = ByteWriter()
        writer.append(contentsOf: [0xCA, 0xE5, 0x52, 0x0A, 1, 0, role, 0, 0])
        writer.append(littleEndian: fingerprint)
        writer.append(littleEndian: UInt64(0))
        for varint in varints { writer.append(varint: varint) }
        header = writer.array
        self.body = body
    }

    /// The chunk with one byte changed; nil for a byte of a checksum.
    func replacing(at index: Int, with value: UInt8) -> [UInt8]? {
        var copy = self
        switch index {
        case 17..<25: return nil
        case ..<header.count: copy.header[index] = value
        case ..<(header.count + 8): return nil
        default: copy.body[index - header.count - 8] = value
        }
        return copy.chunk
    }

    /// The chunk with checksums that fit, and the header length if that is 0.
    var chunk: [UInt8] {
        var header = header
        if header[5] == 0 { header[5] = UInt8(header.count + 8) }
        header.replaceSubrange(17..<25, with: Self.checksum(body))
        return header + Self.checksum(header) + body
    }

    static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        let sum = unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) }
        return (0..<8).map { UInt8(truncatingIfNeeded: sum >> ($0 * 8)) }
    }
}
