/// The hashes that share their top `prefixBits` bits: what one chunk of a table covers.
///
///     prefixBits 0    ├───────────────────────────────┤   all hashes
///     prefixBits 1    ├───────────────┼───────────────┤
///     prefixBits 2    ├───────┼───────┼───────┼───────┤   the partitions of a table with 2 bits
///
/// See `docs/FORMAT.md`, "Ranges and planning".
public struct HashRange: Hashable, Sendable, CustomStringConvertible {
    /// How many top bits the hashes share, 0...64.
    public let prefixBits: Int
    /// Those bits at the top, the rest zero: the first hash of the range.
    public let first: UInt64

    /// Every hash.
    public static let all = HashRange(prefixBits: 0, first: 0)

    /// What the header of a log's chunk has in place of hashes: the position of its first row, as ``first``.
    public static func position(_ position: UInt64) -> HashRange {
        HashRange(prefixBits: 64, first: position)
    }

    private init(prefixBits: Int, first: UInt64) {
        self.prefixBits = prefixBits
        self.first = first
    }

    /// The range with a left-aligned prefix.
    ///
    /// - Precondition: `prefixBits` is 0...64, and the bits of `prefix` below them are zero.
    public init(prefixBits: Int, prefix: UInt64) {
        precondition((0...64).contains(prefixBits), "a prefix of \(prefixBits) bits")
        precondition(prefix & Self.mask(prefixBits) == 0, "bits below the prefix")
        self.init(prefixBits: prefixBits, first: prefix)
    }

    /// The range of a partition of a table with 2 to the power `bits` of them.
    public init(partition: Int, bits: Int) {
        precondition((0...Limits.partitionBits).contains(bits), "\(bits) partition bits")
        precondition(partition >= 0 && partition < 1 << bits, "partition \(partition)")
        self.init(prefixBits: bits, first: UInt64(partition) << (64 - bits))
    }

    /// The range with a prefix number as a chunk's header has it; nil when it has too many bits.
    init?(prefixBits: Int, number: UInt64) {
        // Swift's smart shift by 64 gives 0.
        guard (0...64).contains(prefixBits), number >> prefixBits == 0 else { return nil }
        self.init(prefixBits: prefixBits, first: number << (64 - prefixBits))
    }

    /// The prefix alone, as a chunk's header has it.
    var number: UInt64 { first >> (64 - prefixBits) }

    /// The last hash of the range.
    public var last: UInt64 { first | Self.mask(prefixBits) }

    /// The two halves in order; nil for a range of a single hash.
    public var halves: (HashRange, HashRange)? {
        guard prefixBits < 64 else { return nil }
        let bits = prefixBits + 1
        return (
            HashRange(prefixBits: bits, first: first),
            HashRange(prefixBits: bits, first: first | 1 << (64 - bits))
        )
    }

    /// The range with so many bits that a hash is in.
    package init(bits: Int, of hash: UInt64) {
        self.init(prefixBits: bits, first: hash & ~Self.mask(bits))
    }

    /// The parts of the range whose hashes share so many top bits, in order.
    ///
    /// - Precondition: The range has no more bits than that, and at most 16 fewer.
    package func slices(bits: Int) -> [HashRange] {
        precondition((prefixBits...prefixBits + 16).contains(bits), "slices of \(bits) bits")
        return (0..<UInt64(1) << (bits - prefixBits)).map { index in
            HashRange(prefixBits: bits, first: first | index << (64 - bits))
        }
    }

    /// Whether a hash is in the range.
    public func contains(_ hash: UInt64) -> Bool { first <= hash && hash <= last }

    /// Whether all of another range is in this one.
    public func contains(_ other: HashRange) -> Bool {
        other.prefixBits >= prefixBits && contains(other.first)
    }

    /// The range as its first and last hash.
    public var description: String {
        "\(Fingerprint(rawValue: first))…\(Fingerprint(rawValue: last))"
    }

    /// The bits below the prefix.
    private static func mask(_ prefixBits: Int) -> UInt64 { UInt64.max >> prefixBits }
}

extension HashRange {
    /// Whether so many rows of so much weight make one chunk.
    ///
    /// A row's weight is ``RegionLayout/fixedRowWeight`` and the length of each of its bytes and array
    /// values, or ``Limits/inlineValueBytes`` for a longer one.
    @inlinable
    public static func isOneChunk(rows: Int, weight: Int) -> Bool {
        rows <= 1 || (rows <= Limits.rowsPerChunk && weight <= Limits.rowBytesPerChunk)
    }

    /// Cuts the rows of this range into those of chunks.
    ///
    /// - Parameters:
    ///   - hashes: The rows' hashes, ascending, all in this range.
    ///   - weights: The rows' weights.
    /// - Returns: Each chunk's range and rows, in order; no chunk is empty.
    /// - Throws: `limitExceeded` when rows of one single hash are too much for a chunk.
    /// - Complexity: O(rows · depth), where the depth is the logarithm of the number of chunks.
    public func plan(
        hashes: [UInt64], weights: [Int]
    ) throws(FormatError) -> [(range: HashRange, rows: Range<Int>)] {
        precondition(hashes.count == weights.count, "a weight for each row")
        var chunks: [(range: HashRange, rows: Range<Int>)] = []
        var open: [(range: HashRange, rows: Range<Int>)] = [(self, hashes.indices)]
        while let (range, rows) = open.popLast() {
            if rows.isEmpty { continue }
            precondition(
                range.contains(hashes[rows.lowerBound])
                    && range.contains(hashes[rows.upperBound - 1]),
                "hashes outside the range")
            if Self.isOneChunk(rows: rows.count, weight: weights[rows].reduce(0, +)) {
                chunks.append((range, rows))
            } else if let (low, high) = range.halves {
                var middle = rows.lowerBound
                var end = rows.upperBound
                while middle < end {
                    let probe = (middle + end) / 2
                    if hashes[probe] < high.first { middle = probe + 1 } else { end = probe }
                }
                open.append((high, middle..<rows.upperBound))
                open.append((low, rows.lowerBound..<middle))
            } else {
                throw FormatError(
                    .limitExceeded,
                    "\(rows.count) rows have one hash and are too large for a chunk", at: 0)
            }
        }
        return chunks
    }
}
