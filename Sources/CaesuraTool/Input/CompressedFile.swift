import CZlib
import Foundation

/// Reads a file, a pipe or standard input, and unpacks it if it is gzip.
///
/// zlib itself tells gzip from plain bytes, follows members glued together, and checks their checksums.
@safe
struct CompressedFile: ~Copyable {
    private let handle: gzFile
    /// What the bytes come from, for messages.
    let name: String
    /// The size as it lies on disk, or nil for pipes.
    let storedByteCount: Int64?

    /// zlib's own buffer: large enough that the system calls do not show.
    private static let bufferByteCount: UInt32 = 256 * 1024

    /// Opens a path, or standard input for `-`.
    init(path: String) throws(ToolError) {
        let descriptor: Int32
        if path == "-" {
            descriptor = dup(STDIN_FILENO)
        } else {
            descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        }
        guard descriptor >= 0 else {
            throw ToolError("cannot open \(path): \(systemErrorText(errno))")
        }
        try self.init(descriptor: descriptor, name: path == "-" ? "standard input" : path)
    }

    /// Takes over an open descriptor and closes it in the end.
    init(descriptor: Int32, name: String) throws(ToolError) {
        var status = stat()
        let isFile =
            unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        if status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw ToolError("\(name) is a directory", hint: "name a file of route lines")
        }
        guard let handle = unsafe gzdopen(descriptor, "rb") else {
            close(descriptor)
            throw ToolError("cannot read \(name): out of memory")
        }
        unsafe gzbuffer(handle, Self.bufferByteCount)
        unsafe self.handle = unsafe handle
        self.name = name
        storedByteCount = isFile ? Int64(status.st_size) : nil
    }

    deinit { unsafe gzclose(handle) }

    /// Fills what it can of `buffer` and returns how many bytes; 0 at the end.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(ToolError) -> Int {
        var count: Int32
        var isInterrupted: Bool
        var code: Int32 = Z_OK
        var text: UnsafePointer<CChar>?
        repeat {
            try Interruption.check()
            // SAFETY: `handle` is open until `deinit`, and `buffer` has room for the count passed.
            count = unsafe gzread(handle, buffer.baseAddress, UInt32(clamping: buffer.count))
            unsafe text = unsafe gzerror(handle, &code)
            // A signal came while a pipe was waited for.
            isInterrupted = count < 0 && code == Z_ERRNO && errno == EINTR
            if isInterrupted { unsafe gzclearerr(handle) }
        } while isInterrupted
        // A gzip stream cut short reads as an early end; only the error code tells.
        guard count >= 0, count > 0 || code == Z_OK || code == Z_STREAM_END else {
            if code == Z_ERRNO { throw ToolError("cannot read \(name): \(systemErrorText(errno))") }
            let reason = unsafe text.map { unsafe String(cString: $0) } ?? "damaged"
            throw ToolError(
                "cannot unpack \(name): \(reason)",
                hint: "fetch the file again; gzip -t \(name) checks it")
        }
        return Int(count)
    }

    /// Bytes of the stored file read so far.
    var storedOffset: Int64 { unsafe Int64(gzoffset(handle)) }
}
