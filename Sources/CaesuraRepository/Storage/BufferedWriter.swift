/// A file being written, with small pieces collected to writes of 1 MiB, where a call's cost no longer shows.
final class BufferedWriter {
    private static let bufferBytes = 1 << 20

    private let file: any StorageWriter
    /// Bytes added, written or not.
    private(set) var count = 0
    private var buffer: [UInt8] = []

    init(_ file: any StorageWriter) { self.file = file }

    func append(_ bytes: borrowing RawSpan) throws(RepositoryError) {
        count += bytes.byteCount
        if buffer.count + bytes.byteCount > Self.bufferBytes { try flush() }
        if bytes.byteCount >= Self.bufferBytes {
            try file.append(bytes)
        } else {
            unsafe bytes.withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
        }
    }

    /// Makes all that was added durable.
    func sync() throws(RepositoryError) {
        try flush()
        try file.sync()
    }

    func close() { file.close() }

    private func flush() throws(RepositoryError) {
        guard !buffer.isEmpty else { return }
        var full: [UInt8] = []
        swap(&full, &buffer)
        try unsafe file.append(full.span.bytes)
        full.removeAll(keepingCapacity: true)
        swap(&full, &buffer)
    }
}
