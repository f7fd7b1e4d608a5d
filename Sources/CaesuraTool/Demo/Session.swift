import Caesura

/// The row of the demo: what a web service keeps for each of its users.
@Schema("session")
struct Session: Codable {
    @Field(1) var user: UInt64
    @Field(2) var created: Int64
    @Field(3) var lastSeen: Int64
    @Field(4) var visits: UInt32
    @Field(5) var ip: UInt32
    @Field(6) var flags: UInt8
    @Field(7) var cart: Double
    @Field(8) var token: String
    @Field(9) var country: String

    /// The key of session `index`: spread over all 64 bits, as random ids are.
    static func id(_ index: Int) -> UInt64 { UInt64(index) &* 0x9E37_79B9_7F4A_7C15 }

    /// Session `index` of the yardstick that all of the project's measurements share.
    init(index: Int) {
        let hash = Self.id(index)
        user = UInt64(index)
        created = 1_700_000_000_000 + Int64(index % 86_400_000)
        lastSeen = 1_700_000_100_000 + Int64(hash % 86_400_000)
        visits = UInt32(hash % 977)
        ip = UInt32(truncatingIfNeeded: hash >> 13)
        flags = UInt8(hash & 7)
        cart = Double(hash % 100_000) / 100
        token = String(hash, radix: 16) + String(hash &* 31, radix: 16)
        country = ["US", "DE", "IN", "BR", "JP"][Int(hash % 5)]
    }
}
