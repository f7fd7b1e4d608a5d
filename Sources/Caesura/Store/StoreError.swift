/// Why a store refused something.
///
/// Two errors are equal when their codes are.
public struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: String, Hashable, Sendable {
        /// The cut kept more memory than the store's limit and was given up; take another.
        case cutCancelled
        /// The cut has been closed.
        case cutClosed
        /// The store has a region of that name with another schema.
        case regionConflict
        /// The store has no region of that name.
        case unknownRegion
        /// The schema can not be stored: the message says what to change.
        case unsupportedSchema
        /// The data's schema is not the region's.
        case schemaMismatch
        /// Rows are to be restored into a table that has some.
        case notEmpty
        /// Something else wrote to the store while rows were restored: empty it, and restore again while
        /// nothing writes.
        case restoreDisturbed
        /// What changed cannot be said as a delta: take a snapshot.
        case noDelta
        /// A delta builds on another state than the store's: nothing was changed.
        case wrongBase
        /// The data contradict themselves or the store: keys out of order, doubled or in the wrong range.
        case inconsistentData
    }

    /// What a caller may act on.
    public var code: Code
    /// What happened and what to do, in one sentence.
    ///
    /// It never holds user data.
    public var message: String
    /// The region concerned.
    public var region: String?
    /// The epoch concerned.
    public var epoch: Epoch?

    /// Creates an error.
    public init(_ code: Code, _ message: String, region: String? = nil, epoch: Epoch? = nil) {
        self.code = code
        self.message = message
        self.region = region
        self.epoch = epoch
    }

    /// The code, the region, the epoch and the message.
    public var description: String {
        var place = ""
        if let region { place += " in region \(region)" }
        if let epoch { place += " at epoch \(epoch)" }
        return "\(code.rawValue)\(place): \(message)"
    }

    /// Compares the codes.
    public static func == (a: StoreError, b: StoreError) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

/// The store's cut counter: a point in its history.
public struct Epoch: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of the epoch, from 1.
    public let rawValue: UInt64

    /// What no epoch reaches: a row's stamp has 48 bits for it, and a restored store goes on counting.
    static let limit: UInt64 = 1 << 47

    /// Creates an epoch from its number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Whether `a` is earlier.
    public static func < (a: Epoch, b: Epoch) -> Bool { a.rawValue < b.rawValue }

    /// The number.
    public var description: String { String(rawValue) }
}
