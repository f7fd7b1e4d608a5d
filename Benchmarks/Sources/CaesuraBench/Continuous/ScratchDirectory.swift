import Foundation

/// A directory that goes away with its owner.
final class ScratchDirectory {
    let path: String

    /// - Parameter parent: Where it is made: the disk that is measured.
    init(in parent: String) throws {
        path = parent + "/caesura-bench-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
