import CXXHash

/// An XXH3-128 digest, which tells damage, not forgery.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The digest's first eight bytes in XXH3's canonical order, as a big-endian number.
    public var high: UInt64
    /// The eight bytes after them.
    public var low: UInt64

    /// Creates a digest from its halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 32 lower-case hexadecimal digits.
    init?(_ text: String) {
        guard text.utf8.count == 32, let high = Hexadecimal.number(String(text.prefix(16))),
            let low = Hexadecimal.number(String(text.suffix(16)))
        else { return nil }
        self.init(high: high, low: low)
    }

    /// The digest of bytes.
    public init(of bytes: borrowing RawSpan) {
        var hasher = DigestHasher()
        hasher.update(bytes)
        self = hasher.digest
    }

    /// 32 lower-case hexadecimal digits.
    public var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}

/// Computes a ``Digest`` from bytes that come in pieces.
@safe
struct DigestHasher: ~Copyable {
    private let state: OpaquePointer

    init() {
        guard let state = unsafe XXH3_createState() else { fatalError("no memory for 576 bytes") }
        unsafe self.state = state
        _ = unsafe XXH3_128bits_reset(state)
    }

    deinit { _ = unsafe XXH3_freeState(state) }

    /// Adds bytes.
    mutating func update(_ bytes: borrowing RawSpan) {
        // SAFETY: the span's memory is valid for the call, and XXH3 keeps no pointer to it.
        unsafe bytes.withUnsafeBytes {
            _ = unsafe XXH3_128bits_update(state, $0.baseAddress, $0.count)
        }
    }

    /// The digest of the bytes so far.
    var digest: Digest {
        let hash = unsafe XXH3_128bits_digest(state)
        return Digest(high: hash.high64, low: hash.low64)
    }
}
