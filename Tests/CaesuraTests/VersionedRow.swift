import Caesura

/// Three versions of one schema, as three programs have them.
///
///     1 → 2   hits is visits and wider; country is retired; note, plan, place are new; addresses have a zip;
///             status has a third case; score is wider
///     2 → 3   tags and home are new, at the front; addresses have notes; plan is retired
enum Version1 {
    enum Status: UInt8, SchemaEnum {
        case active = 1
        case blocked = 2
        static var fallback: Self? { .blocked }
    }

    @Schema("address")
    struct Address: Hashable {
        @Field(1) var city: String
    }

    @Schema("session")
    struct Session: Hashable {
        @Field(1) var user: UInt64
        @Field(2) var token: String
        @Field(3) var hits: UInt32
        @Field(5) var country: String
        @Field(6) var address: Version1.Address?
        @Field(7) var status: Version1.Status
        @Field(8) var score: Float
    }
}

enum Version2 {
    enum Status: UInt8, SchemaEnum {
        case active = 1
        case blocked = 2
        case frozen = 3
        static var fallback: Self? { .blocked }
    }

    @Schema("address")
    struct Address: Hashable {
        @Field(1) var city: String
        @Field(2) var zip: String = "none yet"
    }

    @Schema("session", version: 2, retired: [5, "country"])
    struct Session: Hashable {
        @Field(1) var user: UInt64
        @Field(2) var token: String
        @Field(3, formerly: ["hits"]) var visits: UInt64
        @Field(6) var address: Version2.Address?
        @Field(7) var status: Version2.Status
        @Field(8) var score: Double
        @Field(9, since: 2) var note: String = "new"
        @Field(10, since: 2) var plan: Int16? = 7
        @Field(11, since: 2) var place: Version2.Address = Version2.Address(
            city: "nowhere", zip: "0")
    }
}

enum Version3 {
    @Schema("address")
    struct Address: Hashable {
        @Field(3) var notes: [UInt16] = [1, 2, 3]
        @Field(1) var city: String
        @Field(2) var zip: String = "none yet"
        @Field(4) var size: Int32 = -1
    }

    @Schema("session", version: 3, retired: [5, "country", 10, "plan"])
    struct Session: Hashable {
        @Field(12, since: 3) var tags: [UInt8] = [9, 9]
        @Field(13, since: 3) var home: Version3.Address? = nil
        @Field(1) var user: UInt64
        @Field(2) var token: String
        @Field(3, formerly: ["hits"]) var visits: UInt64
        @Field(6) var address: Version3.Address?
        @Field(7) var status: Version2.Status
        @Field(8) var score: Double
        @Field(9, since: 2) var note: String = "new"
        @Field(11, since: 2) var place: Version3.Address = Version3.Address(
            city: "nowhere", zip: "0")
    }
}

extension Version1.Session {
    /// A row of a seed; some values are large.
    init(_ seed: UInt64) {
        self.init(
            user: seed, token: Self.text(seed, "token"), hits: UInt32(seed &* 7),
            country: Self.text(seed / 3, "country"),
            address: seed % 3 == 0 ? nil : Version1.Address(city: "city \(seed)"),
            status: seed % 2 == 0 ? .active : .blocked, score: Float(seed) / 4)
    }

    /// A text that is sometimes long, and sometimes so long that it travels in segments.
    static func text(_ seed: UInt64, _ name: String) -> String {
        switch seed % 50 {
        case 7: String(repeating: "\(name) \(seed) ", count: 400)
        case 13: String(repeating: "\(name) \(seed) ", count: 9_000)
        case 20: ""
        default: "\(name) \(seed)"
        }
    }
}

extension Version2.Session {
    init(_ seed: UInt64) {
        let old = Version1.Session(seed)
        self.init(
            user: old.user, token: old.token, visits: UInt64(old.hits),
            address: old.address.map {
                Version2.Address(city: $0.city, zip: Version1.Session.text(seed, "zip"))
            },
            status: [.active, .blocked, .frozen][Int(seed % 3)], score: Double(old.score),
            note: Version1.Session.text(seed &+ 30, "note"),
            plan: seed % 4 == 0 ? nil : Int16(seed % 9),
            place: Version2.Address(city: "place \(seed)", zip: "\(seed)"))
    }

    /// What a program of this version reads of an older row.
    init(_ old: Version1.Session) {
        self.init(
            user: old.user, token: old.token, visits: UInt64(old.hits),
            address: old.address.map { Version2.Address(city: $0.city) },
            status: old.status == .active ? .active : .blocked, score: Double(old.score))
    }
}

extension Version3.Session {
    init(_ seed: UInt64) {
        let old = Version2.Session(seed)
        func address(_ old: Version2.Address) -> Version3.Address {
            Version3.Address(
                notes: (0..<seed % 5).map { UInt16($0 &+ seed) }, city: old.city, zip: old.zip,
                size: Int32(seed))
        }
        self.init(
            tags: Array(Version1.Session.text(seed &+ 7, "tag").utf8),
            home: seed % 5 == 0
                ? nil
                : Version3.Address(
                    notes: [UInt16(seed)], city: "home \(seed)", zip: "z", size: 3), user: old.user,
            token: old.token, visits: old.visits, address: old.address.map(address),
            status: old.status, score: old.score, note: old.note, place: address(old.place))
    }
}
