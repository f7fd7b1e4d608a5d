import Foundation

/// Opens what `--rib` and `--updates` name: route lines as they are or in gzip, or an MRT file, which bgpdump
/// turns into lines.
enum RouteInput {
    /// A reader of route lines, and the bgpdump that feeds it, if one does.
    struct Opened: ~Copyable {
        var reader: LineReader
        fileprivate let converter: Process?

        /// Tells how the converter ended; call at the end of the lines.
        func finish() throws(ToolError) {
            guard let converter else { return }
            converter.waitUntilExit()
            guard converter.terminationStatus == 0 else {
                throw ToolError(
                    "bgpdump ended with exit code \(converter.terminationStatus)",
                    hint: "its own message is above")
            }
        }

        /// Stops the converter, if there is one and it still runs.
        func cancel() { converter?.terminate() }
    }

    /// Opens a path, or standard input for `-`.
    static func open(_ path: String) throws(ToolError) -> Opened {
        var reader = LineReader(try CompressedFile(path: path))
        guard isBinary(try reader.peek()) else { return Opened(reader: reader, converter: nil) }
        guard path != "-" else {
            throw ToolError(
                "standard input is an MRT file, not route lines",
                hint: "bgpdump -m - | caesura replay routes --rib - …")
        }
        return try convert(path)
    }

    /// Refuses what cannot be read as route lines, as far as that shows before it is read whole.
    ///
    /// Pipes are not opened: what is taken out of one is gone.
    static func check(_ path: String) throws(ToolError) {
        guard path != "-" else { return }
        var status = stat()
        // SAFETY: `status` is ours for the duration of the call.
        guard unsafe stat(path, &status) == 0, unsafe access(path, R_OK) == 0 else {
            throw ToolError(opening: path, code: errno)
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: throw .directory(path)
        case S_IFREG:
            var reader = LineReader(try CompressedFile(path: path))
            if isBinary(try reader.peek()) {
                _ = try converter(for: path)
            } else {
                var file = try RouteFile(path: path)
                _ = try file.next()
            }
        default: break
        }
    }

    /// Whether the bytes begin an MRT record (RFC 6396 section 2) or a bzip2 file, which only ever holds one.
    static func isBinary(_ start: [UInt8]) -> Bool {
        if start.starts(with: "BZh".utf8) { return true }
        // Behind four bytes of time comes the type in two bytes: 11 to 17 so far, or 32 to 49.
        return start.count >= 12 && start[4] == 0 && start[5] < 64
    }

    /// The program that turns an MRT file into lines.
    private static func converter(for path: String) throws(ToolError) -> String {
        if let bgpdump = executable("bgpdump") { return bgpdump }
        throw ToolError(
            "\(path) is an MRT file, and bgpdump is not installed",
            hint: "apt-get install bgpdump, or pass what bgpdump -m \(path) prints")
    }

    private static func convert(_ path: String) throws(ToolError) -> Opened {
        let bgpdump = try converter(for: path)
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: bgpdump)
        // -v: its warnings go to standard error, where the person sees them, not to syslog.
        process.arguments = ["-v", "-m", path.hasPrefix("-") ? "./" + path : path]
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw ToolError("cannot run \(bgpdump): \(failureText(error))")
        }
        let descriptor = dup(pipe.fileHandleForReading.fileDescriptor)
        return Opened(
            reader: LineReader(
                try CompressedFile(descriptor: descriptor, name: "bgpdump -m \(path)")),
            converter: process)
    }

    /// The path of a program, looked for as a shell would.
    private static func executable(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":")
            .map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
