import Caesura
import CaesuraFormat

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

/// `versions`: restoring rows of another version of the schema, one thread, in turns with those of the same.
enum VersionsBenchmark {
    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let passes = try options.int("passes", default: 5)
        let first = try written(rows, Session.init)
        let next = try written(rows, NextSession.init)
        let added = try written(rows, AddedSession.init)
        try compare(
            "restore, older data", rows, passes, NextSession.self,
            [("the same version", next), ("the version before", first)])
        try compare(
            "restore, newer data", rows, passes, Session.self,
            [("the same version", first), ("a later version, 2 fields kept", added)])
    }

    /// The chunks of a store of so many rows.
    private static func written<Row: SchemaStruct>(
        _ rows: Int, _ row: (Int) -> Row
    ) throws -> (chunks: [UInt8], metadata: StreamMetadata) {
        let store = Store()
        let table = try store.table("sessions", key: UInt64.self, row: Row.self)
        for i in 0..<rows { table.set(row(i), for: Session.id(i)) }
        let cut = store.cut()
        defer { cut.close() }
        let source = try SnapshotSource(cut)
        var chunks: [UInt8] = []
        let worker = SnapshotSource.Worker(for: source)
        while let job = try source.next() {
            try source.encode(
                job, with: worker,
                emit: { (_, bytes) throws(StoreError) in unsafe chunks.append(contentsOf: bytes) },
                refused: { $0 })
        }
        return (chunks, source.metadata)
    }

    private static func compare<Row: SchemaStruct>(
        _ metric: String, _ rows: Int, _ passes: Int, _ type: Row.Type,
        _ data: [(name: String, written: (chunks: [UInt8], metadata: StreamMetadata))]
    ) throws {
        var best = data.map { _ in Double.infinity }
        for _ in 0..<passes {
            for (index, data) in data.enumerated() {
                let store = Store()
                let table = try store.table("sessions", key: UInt64.self, row: Row.self)
                store.prefault(rows * 256)
                best[index] = min(
                    best[index],
                    try nanoseconds {
                        try StoreEncoding.apply(
                            data.written.chunks, data.written.metadata, to: store)
                    })
                guard table.count == rows else { throw Failure("\(table.count) rows restored") }
            }
        }
        for (index, data) in data.enumerated() {
            Result(
                metric, Target.subject + ", " + data.name, short(rows), "ns/row",
                best[index] / Double(rows)
            ).print()
        }
        Result(
            metric + ", over the same version", Target.subject, short(rows), "x", best[1] / best[0]
        ).print()
    }
}
