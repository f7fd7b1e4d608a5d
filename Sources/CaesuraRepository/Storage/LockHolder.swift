#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Who holds a repository's lock: what the lock file says, for people.
///
/// The text is one line, `pid 4711 host web-3 since 2026-05-01T12:00:00.000000Z`. It decides nothing:
/// the lock does.
struct LockHolder: Hashable, Sendable, CustomStringConvertible {
    /// The process.
    var process: Int32
    /// The machine, as it names itself.
    var host: String
    /// When the lock was taken.
    var since: WallClock

    /// This process, now.
    static var current: LockHolder {
        var name = [CChar](repeating: 0, count: 256)
        // SAFETY: the buffer has 256 bytes and gethostname writes at most 255 of them.
        let known = unsafe name.withUnsafeMutableBufferPointer {
            unsafe gethostname($0.baseAddress!, $0.count - 1) == 0
        }
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let host = known ? String(decoding: bytes, as: UTF8.self) : "unknown"
        return LockHolder(process: getpid(), host: host, since: .now)
    }

    var description: String { "pid \(process) host \(host) since \(since)" }

    /// The error for someone who came second.
    ///
    /// `text` is what the lock file says, however damaged.
    static func refusal(text: [UInt8], path: String) -> RepositoryError {
        let line = String(decoding: text.prefix(400).prefix { $0 != 0x0A }, as: UTF8.self)
        let printable = String(line.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F })
        let holder =
            printable.hasPrefix("pid ") ? printable : "a process that has not said its name"
        if path.hasSuffix("/" + Layout.maintenance) {
            return RepositoryError(
                .locked,
                "old checkpoints of this repository are being made full or removed: \(holder)",
                path: path, hint: "wait until that has ended")
        }
        return RepositoryError(
            .locked, "another writer has this repository: \(holder)", path: path,
            hint: "stop that process, or write to another directory; "
                + "reading needs no lock, and the lock ends with the process that holds it")
    }
}
