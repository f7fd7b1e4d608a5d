import Foundation

/// Reads a file, a pipe or standard input, and unpacks it if it is gzip.
///
///     plain ─► plain bytes to the end
///     start ─┤
///     member ─► between ─► member …     zeros may fill up the end, as tapes have them; other bytes may not
@safe
struct CompressedFile: ~Copyable {
    private enum State {
        /// Nothing was read.
        case start
        /// The file is not gzip.
        case plain
        /// Inside a gzip member.
        case member
        /// Behind a gzip member.
        case between
    }

    /// What the bytes come from, for messages.
    let name: String
    /// The size as it lies on disk, or nil for pipes.
    let storedByteCount: Int64?
    /// Bytes of the stored file read so far.
    private(set) var storedOffset: Int64 = 0

    private let descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    /// The bytes of the buffer that are filled and not yet made use of.
    private var pending = 0..<0
    private var atEnd = false
    private var state = State.start
    private var inflater = Inflater()

    /// Large enough that the system calls do not show.
    private static let bufferByteCount = 256 * 1024
    /// RFC 1952 section 2.3.1: ID1 and ID2.
    private static let magic: [UInt8] = [0x1F, 0x8B]

    /// Opens a path, or standard input for `-`.
    init(path: String) throws(ToolError) {
        let descriptor: Int32
        if path == "-" {
            descriptor = dup(STDIN_FILENO)
        } else {
            descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        }
        let name = path == "-" ? "standard input" : path
        guard descriptor >= 0 else { throw ToolError(opening: name, code: errno) }
        try self.init(descriptor: descriptor, name: name)
    }

    /// Takes over an open descriptor and closes it in the end.
    init(descriptor: Int32, name: String) throws(ToolError) {
        var status = stat()
        let isFile =
            unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        if status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw .directory(name)
        }
        self.descriptor = descriptor
        self.name = name
        storedByteCount = isFile ? Int64(status.st_size) : nil
        unsafe buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 64)
    }

    deinit {
        close(descriptor)
        unsafe buffer.deallocate()
    }

    /// Fills what it can of `output` and returns how many bytes; 0 at the end.
    mutating func read(into output: UnsafeMutableRawBufferPointer) throws(ToolError) -> Int {
        while true {
            switch state {
            case .start:
                state = try beginsMember() ? .member : .plain
            case .plain:
                guard !pending.isEmpty else { return try unsafe readStored(into: output) }
                let count = min(pending.count, output.count)
                // SAFETY: `output` has room for `count`, and so many bytes of `buffer` are filled.
                unsafe output.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: buffer[pending.prefix(count)]))
                pending = pending.dropFirst(count)
                return count
            case .member:
                let count = try unsafe inflate(into: output)
                if count > 0 { return count }
            case .between:
                if try beginsMember() {
                    inflater.reset()
                    state = .member
                    continue
                }
                // SAFETY: the bytes are filled.
                while let next = pending.first, unsafe buffer[next] == 0 {
                    pending = pending.dropFirst()
                }
                guard pending.isEmpty else {
                    let offset = storedOffset - Int64(pending.count)
                    throw failure("byte \(offset) and those behind it are not gzip")
                }
                if atEnd { return 0 }
            }
        }
    }

    /// Whether the pending bytes begin a gzip member; reads on until that can be said.
    private mutating func beginsMember() throws(ToolError) -> Bool {
        while pending.count < Self.magic.count, !atEnd { try fill() }
        return unsafe buffer[pending].starts(with: Self.magic)
    }

    private mutating func inflate(
        into output: UnsafeMutableRawBufferPointer
    ) throws(ToolError) -> Int {
        if pending.isEmpty {
            try fill()
            if atEnd { throw failure("unexpected end of file") }
        }
        do throws(Inflater.Failure) {
            // SAFETY: the pending bytes are filled.
            let outcome = try unsafe inflater.inflate(
                UnsafeRawBufferPointer(rebasing: buffer[pending]), into: output)
            pending = pending.dropFirst(outcome.consumed)
            if outcome.isEnd { state = .between }
            return outcome.produced
        } catch { throw failure(error.reason) }
    }

    private func failure(_ reason: String) -> ToolError {
        ToolError(
            "cannot unpack \(name): \(reason)",
            hint: "fetch the file again; gzip -t \(name) checks it")
    }

    /// Moves what is pending to the front and reads more behind it.
    private mutating func fill() throws(ToolError) {
        let count = pending.count
        if count > 0, pending.lowerBound > 0 {
            // SAFETY: both ranges lie in `buffer`; `copyMemory` allows overlap.
            unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[pending]))
        }
        let read = try unsafe readStored(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
        pending = 0..<count + read
    }

    /// Reads bytes as they are stored.
    private mutating func readStored(
        into output: UnsafeMutableRawBufferPointer
    ) throws(ToolError) -> Int {
        while true {
            try Interruption.check()
            // SAFETY: `output` has room for the count passed.
            let count = unsafe Foundation.read(descriptor, output.baseAddress, output.count)
            if count < 0 {
                let code = errno
                // A signal came while a pipe was waited for.
                if code == EINTR { continue }
                throw ToolError("cannot read \(name): \(systemErrorText(code))")
            }
            storedOffset += Int64(count)
            atEnd = count == 0
            return count
        }
    }
}

extension ToolError {
    /// A directory was named where route lines are read.
    static func directory(_ name: String) -> ToolError {
        ToolError("\(name) is a directory", hint: "name a file of route lines")
    }
}
