/// Why there is no plan.
///
/// Two errors are equal when their codes are.
public struct RebalancingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: Sendable {
        /// No node is to have partitions.
        case noNodes
        /// A node or a partition is there twice.
        case duplicate
        /// A name, a weight, a load or a tolerance is none.
        case malformed
    }

    /// What a caller may act on.
    public var code: Code
    /// What is wrong, and with which node or partition.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// Compares the codes.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
