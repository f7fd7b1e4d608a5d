/// Sizes that a reader accepts, and the constants of the format that bound them.
public struct Limits: Sendable, Hashable {
    /// The largest value in bytes (string, bytes, array) that a column holds itself.
    ///
    /// A larger one travels in segment chunks. A constant of the format: the same content must give
    /// the same bytes.
    public static let inlineValueBytes = 65_536
}
