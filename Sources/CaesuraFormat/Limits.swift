/// Sizes that a reader accepts, and the constants of the format that bound them.
///
/// The constants (static) are part of the format: a writer keeps to them and the same content gives the
/// same bytes because of them. The properties are a reader's own choice: lower them for a small machine,
/// raise them for a trusted writer. See `docs/FORMAT.md`, "Limits".
public struct Limits: Sendable, Hashable {
    /// The most positions of a log: 2 to the power 63, so that sums of them do not overflow.
    public static let logPositions: UInt64 = 1 << 63

    /// Positions of one stretch of a log: as many rows as a chunk has at most, for a chunk has rows of one
    /// stretch.
    public static let positionsPerStretch = UInt64(rowsPerChunk)

    /// The largest value in bytes (string, bytes, array) that a column holds itself.
    ///
    /// A larger one travels in segment chunks, so that one value cannot make a chunk large.
    public static let inlineValueBytes = 65_536

    /// The largest number of rows in a chunk: a row ordinal fits in 13 bits, and one chunk's columns fit
    /// in a core's second-level cache.
    public static let rowsPerChunk = 8192

    /// The largest number of decoded bytes of the rows of one chunk, unless it holds a single row.
    ///
    /// It bounds the memory of a worker: 1 MiB. It is also the most that one column of any chunk holds.
    public static let rowBytesPerChunk = 1 << 20

    /// The bytes of a segmented value that one segment chunk holds, except the last of that value: 1 MiB.
    ///
    /// A multiple of every element's width, so no element is cut.
    public static let segmentBytes = 1 << 20

    /// The largest number of partition bits: 65,536 partitions, far more than cores or nodes.
    public static let partitionBits = 16

    /// The largest number of columns of a region, so that one row's inline values stay below 64 MiB.
    public static let leavesPerRegion = 1024

    /// The deepest nesting of structs, the row itself counted: a reader may use recursion.
    public static let schemaDepth = 8

    /// The largest number of former names of a field: one for each of many renamings.
    public static let formerNames = 64

    /// The largest number of retired fields of a struct: as many as it may have.
    public static let retiredFields = leavesPerRegion

    /// The largest number of cases of an enumeration.
    public static let enumerationCases = 1024

    /// The longest name of a region, schema, field or case in UTF-8 bytes: a line on a screen.
    public static let nameBytes = 255

    /// The largest default value in bytes (string, bytes, array): defaults are small, schemas are hashed.
    public static let defaultValueBytes = 4096

    /// The largest number of options in a metadata chunk.
    public static let streamOptions = 64

    /// The largest stored body of a chunk in bytes; checked before memory is asked for.
    ///
    /// 72 MiB: a single row of 1,024 columns with 65,536 bytes each is 64 MiB, and codings may add an
    /// eighth.
    public var storedBytes = 72 << 20

    /// The largest decoded body of a chunk in bytes; checked before memory is asked for.
    public var decodedBytes = 72 << 20

    /// The largest metadata or end body in bytes, decoded: 4 MiB is a thousand regions of forty fields.
    public var metadataBytes = 4 << 20

    /// The largest number of regions of a stream.
    public var regions = 1024

    /// The largest segmented value in bytes: a reader may reserve memory for the length a row states.
    public var valueBytes = 1 << 30

    /// Creates the default limits.
    public init() {}
}
