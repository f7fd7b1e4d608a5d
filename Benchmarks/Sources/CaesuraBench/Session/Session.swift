import Caesura

/// The session row of docs/BENCHMARKS.md, without its key.
@Schema("session")
struct Session: Codable, Equatable, Sendable {
    @Field(1) var user: UInt64
    @Field(2) var created: Int64
    @Field(3) var lastSeen: Int64
    @Field(4) var visits: UInt32
    @Field(5) var ip: UInt32
    @Field(6) var flags: UInt8
    @Field(7) var cart: Double
    @Field(8) var token: String
    @Field(9) var country: String

    /// Bytes of a row and its key without any container: 8 + 41 of numbers, 32 + 2 of strings.
    static let stateBytes = 83

    /// The key of row `i`.
    @inline(__always) static func id(_ i: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: i) &* 0x9E37_79B9_7F4A_7C15
    }

}

extension Session {
    /// Row `i`.
    init(_ i: Int) {
        let h = Session.id(i)
        self.init(
            user: UInt64(i), created: 1_700_000_000_000 + Int64(i % 86_400_000),
            lastSeen: 1_700_000_100_000 + Int64(h % 86_400_000), visits: UInt32(h % 977),
            ip: UInt32(truncatingIfNeeded: h >> 13), flags: UInt8(h & 7),
            cart: Double(h % 100_000) / 100, token: Session.token(h),
            country: Session.countries[Int(h % 5)])
    }

    static let countries = ["US", "DE", "IN", "BR", "JP"]

    /// 32 hexadecimal digits made from `h`.
    static func token(_ h: UInt64) -> String {
        unsafe String(unsafeUninitializedCapacity: 32) { digits in
            for (start, value) in [(0, h), (16, h &* 31)] {
                for place in 0..<16 {
                    let digit = UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * place)) & 15
                    unsafe digits[start + place] = digit < 10 ? 48 + digit : 87 + digit
                }
            }
            return 32
        }
    }
}

/// A pseudorandom sequence of row numbers, the same for every subject.
struct RandomRows {
    private var state: UInt64
    private let rows: UInt64

    /// - Parameter seed: Another one for numbers that have nothing to do with those of the first.
    init(rows: Int, seed: UInt64 = 0x243F_6A88_85A3_08D3) {
        self.rows = UInt64(rows)
        state = seed
    }

    /// A row number in 0..<rows.
    @inline(__always) mutating func next() -> Int {
        // xorshift64, then the high half of a product: no division.
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(truncatingIfNeeded: rows.multipliedFullWidth(by: state).high)
    }
}
