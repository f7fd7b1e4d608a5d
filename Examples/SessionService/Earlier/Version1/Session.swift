import Caesura

/// A session, as it lies in the table and in checkpoints.
@Schema("session")
struct Session {
    @Field(1) var user: UInt32
    @Field(2, .sensitive) var token: String
    @Field(3) var seen: Timestamp
    @Field(4) var visits: UInt32 = 0
    @Field(5) var plan: Plan = .free
    @Field(6) var country: String = ""
    @Field(7) var cart: [UInt32] = []
}

/// What the user pays for.
enum Plan: String, SchemaEnum, Codable {
    case free, pro

    /// What a plan of a later version counts as.
    static let fallback: Plan? = .free
}
