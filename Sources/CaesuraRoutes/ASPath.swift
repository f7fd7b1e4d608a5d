public import Caesura

/// The autonomous systems an announcement passed through, nearest first (RFC 4271 section 4.3,
/// RFC 5065 section 3).
///
/// Nearly every path is one sequence; then `segments` is empty and the path is just its numbers. Otherwise
/// `segments` describes how `numbers` is divided:
///
///     2497 3549 21877 {4237}      numbers   2497 3549 21877 4237
///                                 segments  sequence of 3, set of 1
///
/// Text does not show where one sequence ends and the next begins, so sequences never stand side by side.
@Schema("path")
public struct ASPath: Hashable, Sendable {
    /// The numbers of all segments, one after the other.
    @Field(1) public var numbers: [UInt32]
    /// Kind (top 2 bits) and length (low 14 bits) of each segment; empty for a single sequence.
    @Field(2) public var segments: [UInt16]

    /// How the numbers of a segment relate.
    public enum SegmentKind: UInt16, Hashable, Sendable {
        /// Passed in this order: `1 2`.
        case sequence = 0
        /// Passed in an order no longer known: `{1,2}`.
        case set = 1
        /// Members of a confederation, in this order: `(1 2)`.
        case confederationSequence = 2
        /// Members of a confederation, in an order no longer known: `[1,2]`.
        case confederationSet = 3
    }

    /// The longest segment that `segments` can describe: 14 bits.
    ///
    /// A path of that many numbers would take 16 KiB of text; bgpdump stops at 8,000 characters.
    public static let maximumSegmentLength = 0x3FFF

    /// Creates a path that is one sequence.
    public init(sequence numbers: [UInt32] = []) {
        self.numbers = numbers
        segments = []
    }

    /// Creates a path from its parts.
    init(numbers: [UInt32], segments: [UInt16]) {
        self.numbers = numbers
        self.segments = segments
    }

    /// The two bytes that describe a segment.
    static func segment(_ kind: SegmentKind, length: Int) -> UInt16 {
        precondition(length <= maximumSegmentLength)
        return kind.rawValue << 14 | UInt16(length)
    }

    /// Kind and length of a segment.
    static func parts(of segment: UInt16) -> (kind: SegmentKind, length: Int) {
        // Two bits have four values, and SegmentKind has a case for each.
        (SegmentKind(rawValue: segment >> 14)!, Int(segment & 0x3FFF))
    }
}
