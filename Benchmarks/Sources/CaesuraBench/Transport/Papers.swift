import CaesuraTransport
import Foundation

/// A certificate that signs itself, and its key, in a folder for as long as they are needed.
final class Papers {
    let path: String

    /// - Parameter names: Those of the nodes and operators that show it.
    init(of names: [String]) throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "caesura-bench-papers-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.path
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", path + "/key.pem", "-out", path + "/chain.pem", "-days", "2",
            "-subj", "/CN=bench",
            "-addext", "subjectAltName=" + names.map { "DNS:" + $0 }.joined(separator: ","),
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure("openssl makes no certificate") }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func identity() throws -> NodeIdentity { try Self.identity(in: path) }

    static func identity(in path: String) throws -> NodeIdentity {
        try NodeIdentity(
            certificateChainFile: path + "/chain.pem", keyFile: path + "/key.pem",
            trustRootsFile: path + "/chain.pem")
    }
}
