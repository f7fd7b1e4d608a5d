/// Why a line is not one that `bgpdump -m` prints.
///
/// Two errors are equal when their reasons and places are.
public struct RouteLineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which part of the line is wrong.
    @nonexhaustive
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The first word names no record this reader knows.
        case unknownRecord
        /// The time is not seconds, with six more digits where the record has them.
        case malformedTime
        /// The third word is not `A`, `B`, `W` or `STATE`, or not one this record can have.
        case unknownKind
        /// The line ends early or goes on after its last field.
        case wrongFieldCount
        /// An address is not in its canonical spelling.
        case malformedAddress
        /// A prefix has no length, or one longer than its address.
        case malformedPrefix
        /// A number is missing, has leading zeros, or does not fit.
        case malformedNumber
        /// A path has a segment that does not close, or bgpdump cut it off.
        case malformedPath
        /// The origin is not `IGP`, `EGP` or `INCOMPLETE`.
        case unknownOrigin
        /// A community is not two numbers of 16 bits or a well-known name.
        case malformedCommunity
        /// The aggregate flag is not `AG` or `NAG`.
        case malformedAggregate
        /// The line is longer than a reader accepts.
        case lineTooLong
    }

    /// Which part of the line is wrong.
    public var reason: Reason
    /// The line's number in its file, from 1.
    public var line: Int
    /// The first byte that is wrong, from 1.
    public var column: Int

    /// Creates an error.
    public init(_ reason: Reason, line: Int, column: Int) {
        self.reason = reason
        self.line = line
        self.column = column
    }

    /// The place and the reason.
    public var description: String { "line \(line), column \(column): \(reason.sentence)" }
}

extension RouteLineError.Reason {
    /// The reason in words.
    public var sentence: String {
        switch self {
        case .unknownRecord: "the record is not one that bgpdump -m prints"
        case .malformedTime: "the time is malformed"
        case .unknownKind: "the kind is not one this record can have"
        case .wrongFieldCount: "the line has too few or too many fields"
        case .malformedAddress: "the address is malformed"
        case .malformedPrefix: "the prefix length is malformed"
        case .malformedNumber: "the number is malformed"
        case .malformedPath: "the AS path is malformed"
        case .unknownOrigin: "the origin is not IGP, EGP or INCOMPLETE"
        case .malformedCommunity: "the community is malformed"
        case .malformedAggregate: "the aggregate flag is not AG or NAG"
        case .lineTooLong: "the line is too long"
        }
    }
}
