import Caesura

/// A session, as it lies in the table and in checkpoints.
///
/// Version 2 added `language`, renamed `seen`, retired `country` and added a case to ``Plan``.
@Schema("session", version: 2, retired: [6, "country"])
struct Session {
    @Field(1) var user: UInt32
    @Field(2, .sensitive) var token: String
    @Field(3, formerly: ["seen"]) var lastSeen: Timestamp
    @Field(4) var visits: UInt32 = 0
    @Field(5) var plan: Plan = .free
    @Field(7) var cart: [UInt32] = []
    @Field(8, since: 2) var language: String = "en"
}

/// What the user pays for.
enum Plan: String, SchemaEnum, Codable {
    case free, pro, team

    /// What a plan of a later version counts as.
    static let fallback: Plan? = .free
}
