/// How a column, or an integer stream inside one, is written: the first byte of each.
///
/// The byte tables are in `docs/FORMAT.md`, "Columns". Values are never reused; 10...255 are unassigned and
/// a reader refuses them.
public enum ColumnCoding: UInt8, Hashable, Sendable, CaseIterable {
    /// The values as they are, little-endian; for strings, a lengths stream and the bytes.
    case raw = 0
    /// One value, repeated.
    case constant = 1
    /// Frame of reference: a base, and the distances from it in as few bits as the largest needs.
    case packed = 2
    /// The first value, and the differences between neighbours as a frame of reference.
    case delta = 3
    /// The distinct values in order of first appearance, and a code a value.
    case dictionary = 4
    /// Runs of equal values: the values, and how often each repeats.
    case runs = 5
    /// Floats as integers over a power of ten, with exceptions kept bit by bit (after ALP, Afroozeh
    /// et al. 2023).
    case decimal = 6
    /// 16-byte values as a stream of low and a stream of high halves.
    case lanes = 7
    /// Strings whose bytes come from a small alphabet, a few bits a byte.
    case alphabet = 8
    /// Strings that share a prefix with the one before: prefix lengths, and the rest.
    case front = 9
}
