import Foundation

/// Cuts a file into lines, in memory it keeps: a line is lent to the caller and never copied.
@safe
struct LineReader: ~Copyable {
    private var file: CompressedFile
    private let buffer: UnsafeMutableRawBufferPointer
    /// The bytes of the buffer that are filled and not yet handed out.
    private var pending = 0..<0
    private var atEnd = false
    /// The number of the last line handed out, from 1.
    private(set) var lineNumber = 0

    /// Longer than any route line: bgpdump cuts paths at 8,000 characters and communities at 8,192.
    static let maximumLineByteCount = 64 * 1024
    private static let bufferByteCount = 1024 * 1024

    /// What a call of ``next(_:)`` found.
    enum Found: Equatable {
        case line
        /// A line longer than the limit, skipped to its end.
        case tooLong
        case end
    }

    init(_ file: consuming CompressedFile) {
        self.file = file
        unsafe buffer = .allocate(byteCount: Self.bufferByteCount, alignment: 64)
    }

    deinit { unsafe buffer.deallocate() }

    /// Bytes of the stored file read so far, and its size if that is known.
    var progress: (read: Int64, of: Int64?) { (file.storedOffset, file.storedByteCount) }

    /// The first bytes, without handing them out.
    mutating func peek() throws(ToolError) -> [UInt8] {
        if pending.isEmpty, !atEnd { try fill() }
        return unsafe [UInt8](buffer[pending].prefix(16))
    }

    /// Finds the next line and passes it on without its line feed, or carriage return and line feed.
    ///
    /// The span is valid only inside `body`. A last line without line feed counts as one.
    mutating func next(_ body: (Span<UInt8>) -> Void) throws(ToolError) -> Found {
        var searched = 0
        while true {
            if let length = lineFeed(from: pending.lowerBound + searched) {
                return take(length, behind: 1, body)
            }
            searched = pending.count
            if atEnd {
                guard !pending.isEmpty else { return .end }
                return take(pending.count, behind: 0, body)
            }
            if pending.count > Self.maximumLineByteCount {
                try skipLine()
                return .tooLong
            }
            try fill()
        }
    }

    /// Takes a line and the bytes behind it that end it; lends it, if it is not too long.
    private mutating func take(
        _ length: Int, behind: Int, _ body: (Span<UInt8>) -> Void
    ) -> Found {
        let start = pending.lowerBound
        lineNumber += 1
        pending = start + length + behind..<pending.upperBound
        guard length <= Self.maximumLineByteCount else { return .tooLong }
        var end = start + length
        if unsafe length > 0 && buffer[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        // SAFETY: the bytes are filled, and stay as they are while `body` runs, for it has no way to `self`.
        let line = unsafe UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        unsafe line.withMemoryRebound(to: UInt8.self) { body(unsafe $0.span) }
        return .line
    }

    /// The length of the line that begins at `pending`, looking for its line feed from `start` on.
    private func lineFeed(from start: Int) -> Int? {
        guard start < pending.upperBound, let base = unsafe buffer.baseAddress else { return nil }
        // SAFETY: the bytes from `start` to the end of `pending` are filled.
        let found = unsafe memchr(
            base + start, Int32(UInt8(ascii: "\n")), pending.upperBound - start)
        return unsafe found.map { unsafe UnsafeRawPointer($0) - UnsafeRawPointer(base) }
            .map { $0 - pending.lowerBound }
    }

    /// Moves what is pending to the front and reads more behind it.
    private mutating func fill() throws(ToolError) {
        let count = pending.count
        if count > 0, pending.lowerBound > 0 {
            // SAFETY: both ranges lie in `buffer`; `copyMemory` allows overlap.
            unsafe buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: buffer[pending]))
        }
        let read = try unsafe file.read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
        pending = 0..<count + read
        atEnd = read == 0
    }

    private mutating func skipLine() throws(ToolError) {
        lineNumber += 1
        while !atEnd {
            pending = 0..<0
            try fill()
            if let length = lineFeed(from: 0) {
                pending = length + 1..<pending.upperBound
                return
            }
        }
    }
}
