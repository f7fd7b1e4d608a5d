import Foundation

/// A file that only this process sees: its name is taken away as soon as it is there, so that nothing is left
/// of it however the process ends.
struct ScratchFile {
    private let path: String
    private let handle: FileHandle

    /// Makes the file; the name is for messages, and says on which file system the bytes go.
    init(_ path: String) throws(ToolError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw ToolError(writing: path, POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO))
        }
        _ = unsafe unlink(path)
        self.path = path
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Appends bytes.
    func write(_ data: Data) throws(ToolError) {
        do {
            try handle.write(contentsOf: data)
        } catch {
            throw ToolError(writing: path, error)
        }
    }
}
