import Caesura

/// The next version of ``Session``: two fields are wider, one is retired, two are new.
@Schema("session", version: 2, retired: [9, "country"])
struct NextSession {
    @Field(1) var user: UInt64
    @Field(2) var created: Int64
    @Field(3) var lastSeen: Int64
    @Field(4) var visits: UInt64
    @Field(5) var ip: Int64
    @Field(6) var flags: UInt8
    @Field(7) var cart: Double
    @Field(8) var token: String
    @Field(10, since: 2) var region: String = "EU"
    @Field(11, since: 2) var tier: UInt32 = 1
}

extension NextSession {
    /// Row `i`, with the values that version 1 gives it and the defaults.
    init(_ i: Int) {
        let row = Session(i)
        self.init(
            user: row.user, created: row.created, lastSeen: row.lastSeen,
            visits: UInt64(row.visits), ip: Int64(row.ip), flags: row.flags, cart: row.cart,
            token: row.token)
    }
}

/// ``NextSession`` without its widened fields: a program that an older one can be followed by, and that can follow it.
@Schema("session", version: 3)
struct AddedSession {
    @Field(1) var user: UInt64
    @Field(2) var created: Int64
    @Field(3) var lastSeen: Int64
    @Field(4) var visits: UInt32
    @Field(5) var ip: UInt32
    @Field(6) var flags: UInt8
    @Field(7) var cart: Double
    @Field(8) var token: String
    @Field(9) var country: String
    @Field(10, since: 3) var region: String = "EU"
    @Field(11, since: 3) var tier: UInt32 = 1
}

extension AddedSession {
    init(_ i: Int) {
        let row = Session(i)
        self.init(
            user: row.user, created: row.created, lastSeen: row.lastSeen, visits: row.visits,
            ip: row.ip, flags: row.flags, cart: row.cart, token: row.token, country: row.country)
    }
}
