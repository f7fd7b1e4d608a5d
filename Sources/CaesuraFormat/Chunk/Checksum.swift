internal import CXXHash

/// XXH3-64 with seed 0: finds damaged bytes and mixed-up schemas.
///
/// It is not cryptographic: whoever can change the bytes can also make the checksum match.
public enum Checksum {
    /// The checksum of some bytes.
    public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        // SAFETY: the buffer is alive during the call; with a count of 0 the pointer is not read.
        unsafe XXH3_64bits(bytes.baseAddress, bytes.count)
    }

    /// The checksum of the 16 little-endian bytes of two words.
    package static func of(_ a: UInt64, _ b: UInt64) -> UInt64 {
        unsafe withUnsafeBytes(of: (a.littleEndian, b.littleEndian)) { unsafe of($0) }
    }
}
