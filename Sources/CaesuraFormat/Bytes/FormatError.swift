/// Why bytes could not be read, or rows not written.
///
/// Two errors are equal when their codes are.
public struct FormatError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: String, Hashable, Sendable {
        /// The bytes end too early: wait for more, or fetch them again.
        case truncated
        /// The bytes differ from those that were written: fetch them again.
        case checksumMismatch
        /// The bytes break a rule of the format: the writer is broken or hostile.
        case malformed
        /// The bytes are of a version, role or coding this reader does not know: use a newer reader.
        case unsupported
        /// The bytes ask for more than the reader's limits: raise them if the writer is trusted.
        case limitExceeded
        /// The data's schema is not the one the reader has.
        case schemaMismatch
    }

    /// What a caller may act on.
    public var code: Code
    /// What is wrong and what to do, in one sentence.
    ///
    /// It never holds user data.
    public var message: String
    /// Where: bytes from the start of the input that the failing call was given.
    public var offset: Int

    /// Creates an error.
    public init(_ code: Code, _ message: String, at offset: Int) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    /// The code, the place and the message.
    public var description: String { "\(code.rawValue) at byte \(offset): \(message)" }

    /// Compares the codes.
    public static func == (a: FormatError, b: FormatError) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
