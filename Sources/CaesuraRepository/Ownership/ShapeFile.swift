import CaesuraFormat
import CaesuraMigration

/// The file that says how the nodes of a register divide their rows: JSON, sealed by a digest like a manifest.
struct ShapeFile {
    var shape: OwnerShape

    static let path = OwnerFile.root + "/shape.json"
    private static let format = "caesura-owner-shape"
    private static let version: UInt64 = 1
    private static let byteLimit = 4_096

    init(shape: OwnerShape) { self.shape = shape }

    var encoded: [UInt8] {
        var json = JSONWriter()
        json.openDocument()
        json.string("format", Self.format)
        json.number("version", Self.version)
        json.number("hashKey0", shape.hashKey.k0)
        json.number("hashKey1", shape.hashKey.k1)
        json.number("moveBits", UInt64(shape.moveBits))
        return SealedJSON.seal(json)
    }

    /// Reads the file.
    ///
    /// - Throws: `notFound`, `damaged`, `unsupported`, and what the storage says.
    init(in storage: any Storage) throws(RepositoryError) {
        let bytes = try storage.contents(of: Self.path, upTo: Self.byteLimit)
        let display = storage.display(Self.path)
        try SealedJSON.check(bytes, "shape", display)
        var format: String?
        var (k0, k1, moveBits): (UInt64?, UInt64?, UInt64?)
        var reader = JSONReader(bytes, file: display)
        try reader.object { (json, name) throws(RepositoryError) in
            switch name {
            case "format": format = try json.string(upTo: 64)
            case "version":
                let version = try json.unsigned()
                guard version == Self.version else {
                    throw json.error(
                        "is \(version), and this reader knows \(Self.version)", code: .unsupported)
                }
            case "hashKey0": k0 = try json.unsigned()
            case "hashKey1": k1 = try json.unsigned()
            case "moveBits": moveBits = try json.unsigned()
            default: try json.skip()
            }
        }
        try reader.end()
        guard format == Self.format, let k0, let k1, let moveBits, moveBits <= 16 else {
            throw RepositoryError(
                .damaged, "this does not say how an owner register divides rows", path: display)
        }
        shape = OwnerShape(hashKey: HashKey(k0: k0, k1: k1), moveBits: Int(moveBits))
    }
}
