import CaesuraFormat
import Testing

@Suite struct KeyHashTests {
    /// The key of SipHash's published vectors: the bytes 0, 1, 2 … 15.
    let key = HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0F0E_0D0C_0B0A_0908)

    func hash(_ message: [UInt8]) -> UInt64 {
        unsafe message.withUnsafeBytes { unsafe key.hash(bytes: $0) }
    }

    @Test(
        arguments: [
            (0, 0xABAC_0158_050F_C4DC), (1, 0xC9F4_9BF3_7D57_CA93), (7, 0xD392_7D98_9BB1_1140),
            (8, 0x3690_9511_8D29_9A8E), (9, 0x25A4_8EB3_6C06_3DE4), (15, 0xD320_D86D_2A51_9956),
            (16, 0xCC4F_DD1A_7D90_8B66), (17, 0x9CF2_6890_63DB_D80C), (63, 0x9D19_9062_B7BB_B3A8),
            (64, 0xF179_97EC_4B4A_6065),
        ] as [(UInt8, UInt64)])
    func `SipHash-1-3 gives the vectors of the reference`(length: UInt8, expected: UInt64) {
        #expect(hash(Array(0..<length)) == expected)
    }

    @Test func `the fast paths for 8 and 16 bytes equal the general one`() {
        #expect(key.hash(0x0706_0504_0302_0100) == hash(Array(0..<8)))
        #expect(key.hash(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908) == hash(Array(0..<16)))
    }

    @Test func `a message hashes the same however it is cut into pieces`() {
        let message = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        for length in [0, 1, 5, 8, 13, 16, 31, 255, 256, 300] {
            for cut in 0...min(length, 20) {
                var hasher = KeyHasher(key: key)
                unsafe message[..<cut].withUnsafeBytes { unsafe hasher.absorb($0) }
                unsafe message[cut..<length].withUnsafeBytes { unsafe hasher.absorb($0) }
                #expect(hasher.finalize() == hash(Array(message[..<length])))
            }
        }
    }

    @Test func `integers of every width are absorbed as their little-endian bytes`() {
        var hasher = KeyHasher(key: key)
        hasher.absorb(littleEndian: UInt8(0x80))
        hasher.absorb(littleEndian: Int16(-2))
        hasher.absorb(littleEndian: UInt32(0x0403_0201))
        hasher.absorb(littleEndian: Int64(-1))
        hasher.absorb(littleEndian: Int8(-1))
        hasher.absorb(littleEndian: UInt128(0x0F0E_0D0C_0B0A_0908_0706_0504_0302_0100))
        #expect(
            hasher.finalize()
                == hash(
                    [0x80, 0xFE, 0xFF, 1, 2, 3, 4] + [UInt8](repeating: 0xFF, count: 9) + (0..<16)))
    }
}
