/// The 128-bit key of a store's key hash, chosen at random when the store is created and kept in its
/// metadata.
///
/// The hash is SipHash-1-3 (Aumasson and Bernstein, 2012, with one compression and three finalisation
/// rounds): who does not know the key cannot choose table keys that collide. See `docs/FORMAT.md`,
/// "Key hash". The functions are `@inlinable` because every access to a table starts with one of them.
@frozen
public struct HashKey: Hashable, Sendable {
    /// The first 8 bytes of the key, little-endian.
    public let k0: UInt64
    /// The last 8 bytes of the key, little-endian.
    public let k1: UInt64

    /// Creates a key from its two halves.
    @inlinable
    public init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// The hash of the 8 little-endian bytes of `word`.
    @inlinable
    public func hash(_ word: UInt64) -> UInt64 {
        var state = SipState(self)
        state.compress(word)
        return state.finish(8 << 56)
    }

    /// The hash of 16 bytes: those of `a`, then those of `b`, little-endian.
    @inlinable
    public func hash(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var state = SipState(self)
        state.compress(a)
        state.compress(b)
        return state.finish(16 << 56)
    }

    /// The hash of a message of any length.
    @inlinable
    public func hash(bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = SipState(self)
        let count = bytes.count
        var offset = 0
        while offset &+ 8 <= count {
            // SAFETY: `offset + 8 <= count`.
            unsafe state.compress(
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset &+= 8
        }
        var last = UInt64(truncatingIfNeeded: count) << 56
        var shift: UInt64 = 0
        while offset < count {
            last |= unsafe UInt64(bytes[offset]) << shift
            shift &+= 8
            offset &+= 1
        }
        return state.finish(last)
    }
}

/// Hashes a message that arrives in pieces, such as the fields of a composite key.
///
/// However the message is cut into pieces, the result is that of ``HashKey/hash(bytes:)`` on the whole.
@frozen
public struct KeyHasher: Sendable {
    @usableFromInline var state: SipState
    /// The bytes that do not fill a word yet, lowest first; the rest is zero.
    @usableFromInline var tail: UInt64 = 0
    /// Bytes absorbed; its low three bits say how many are in `tail`.
    @usableFromInline var length: UInt64 = 0

    /// Creates a hasher that has absorbed nothing.
    @inlinable
    public init(key: HashKey) { state = SipState(key) }

    /// Absorbs the little-endian bytes of an integer of 1, 2, 4, 8 or 16 bytes.
    @inlinable
    public mutating func absorb<Integer: FixedWidthInteger>(littleEndian value: Integer) {
        if Integer.bitWidth <= 64 {
            absorb(
                word: UInt64(truncatingIfNeeded: value), byteCount: UInt64(Integer.bitWidth / 8))
        } else {
            absorb(word: UInt64(truncatingIfNeeded: value), byteCount: 8)
            absorb(word: UInt64(truncatingIfNeeded: value >> 64), byteCount: 8)
        }
    }

    /// Absorbs raw bytes.
    @inlinable
    public mutating func absorb(_ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        var offset = 0
        while offset &+ 8 <= count {
            // SAFETY: `offset + 8 <= count`.
            absorb(
                word: unsafe UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
                byteCount: 8)
            offset &+= 8
        }
        while offset < count {
            unsafe absorb(word: UInt64(bytes[offset]), byteCount: 1)
            offset &+= 1
        }
    }

    /// The hash of everything absorbed.
    @inlinable
    public func finalize() -> UInt64 {
        var state = state
        return state.finish(tail | length << 56)
    }

    /// Absorbs the lowest `byteCount` (1...8) bytes of `word`.
    @inlinable
    mutating func absorb(word: UInt64, byteCount: UInt64) {
        let word = byteCount == 8 ? word : word & ((1 << (byteCount &* 8)) &- 1)
        let used = length & 7
        length &+= byteCount
        // `used` is at most 7, so the shift is at most 56.
        tail |= word &<< (used &* 8)
        guard used &+ byteCount >= 8 else { return }
        state.compress(tail)
        // With `used` 0 the whole word went in; Swift's smart shift by 64 gives the zero wanted here.
        tail = word >> ((8 &- used) &* 8)
    }
}

/// The four words of SipHash and its two kinds of rounds.
@frozen
@usableFromInline
struct SipState: Sendable {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64

    // The constants are the ASCII of "somepseudorandomlygeneratedbytes", from the paper.
    @inlinable
    init(_ key: HashKey) {
        v0 = key.k0 ^ 0x736F_6D65_7073_6575
        v1 = key.k1 ^ 0x646F_7261_6E64_6F6D
        v2 = key.k0 ^ 0x6C79_6765_6E65_7261
        v3 = key.k1 ^ 0x7465_6462_7974_6573
    }

    @inlinable
    @inline(__always)
    mutating func round() {
        v0 &+= v1
        v2 &+= v3
        v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
        v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
        v0 = v0 &<< 32 | v0 &>> 32
        v2 &+= v1
        v0 &+= v3
        v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
        v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
        v2 = v2 &<< 32 | v2 &>> 32
    }

    @inlinable
    @inline(__always)
    mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    /// Compresses the last word (the length's low byte on top, the tail below it) and finishes.
    @inlinable
    @inline(__always)
    mutating func finish(_ last: UInt64) -> UInt64 {
        compress(last)
        v2 ^= 0xFF
        round()
        round()
        round()
        return v0 ^ v1 ^ v2 ^ v3
    }
}
