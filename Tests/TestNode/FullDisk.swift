import Foundation

/// A small file system in memory, which can be filled up.
final class FullDisk {
    let directory: URL
    private var filler: URL { directory.appending(path: "filler") }

    /// Room for some checkpoints of what a trial moves.
    private static let megabytes = 8

    /// Mounts it; the process must be ``Apart``.
    init(at directory: URL) throws {
        self.directory = directory
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Apart.run([
            "mount", "-t", "tmpfs", "-o", "size=\(Self.megabytes)m", "tmpfs", directory.path,
        ])
    }

    /// Takes all room that is left.
    func fill() throws {
        try Data().write(to: filler)
        let file = try FileHandle(forWritingTo: filler)
        defer { try? file.close() }
        let page = Array(repeating: UInt8(1), count: 4_096)
        while unsafe page.withUnsafeBytes({ bytes in
            unsafe write(file.fileDescriptor, bytes.baseAddress, bytes.count) > 0
        }) {}
        guard errno == ENOSPC else { throw Pair.Failure(description: "it did not fill up") }
    }

    /// Gives it back.
    func makeRoom() throws { try FileManager.default.removeItem(at: filler) }

    func unmount() throws { try Apart.run(["umount", directory.path]) }
}
