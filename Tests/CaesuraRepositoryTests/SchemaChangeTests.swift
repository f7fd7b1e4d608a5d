import Caesura
import Testing

@testable import CaesuraRepository

/// A chain of checkpoints that a program of another version goes on from.
@Suite struct SchemaChangeTests {
    @Schema("session")
    struct First: Hashable {
        @Field(1) var visits: UInt32
        @Field(2) var token: String
    }

    @Schema("session", version: 2)
    struct Second: Hashable {
        @Field(1) var visits: UInt64
        @Field(2) var token: String
        @Field(3, since: 2) var note: String = "new"
    }

    @Schema("session", version: 3)
    struct Third: Hashable {
        @Field(1) var visits: UInt64
        @Field(2) var token: String
        @Field(3, since: 2) var note: String = "new"
        @Field(4, since: 3) var more: [UInt8] = [1]
    }

    private static func holding(isReversible: Bool) -> CheckpointOptions {
        var options = CheckpointOptions()
        options.holdsBase = true
        options.isReversible = isReversible
        return options
    }

    private static func store<Row: SchemaStruct>(
        _ type: Row.Type
    ) throws -> (store: Store, rows: Table<UInt64, Row>, log: Log<Row>) {
        let store = Store()
        return (
            store, try store.table("rows", key: UInt64.self, row: Row.self),
            try store.log("log", row: Row.self)
        )
    }

    @Test(arguments: [false, true])
    func `a chain of an older version is restored at each of its epochs`(
        _ isReversible: Bool
    ) async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let old = try Self.store(First.self)
        var epochs: [UInt64] = []
        for step in 0..<6 as Range<UInt64> {
            for key in 0..<100 + step {
                old.rows[key] = First(visits: UInt32(key + step), token: "\(key)")
            }
            old.rows[step] = nil
            old.log.append(First(visits: UInt32(step), token: "log"))
            let options = Self.holding(isReversible: isReversible)
            epochs.append(try await repository.checkpoint(old.store, options: options).epoch)
        }
        if isReversible { try await repository.compact() }
        repository.close()
        for (step, epoch) in zip((0 as UInt64)..., epochs) {
            let new = try Self.store(Second.self)
            let reader = try await Repository.open(
                .storage(repository.storage), for: .read)
            let checkpoint = try await reader.restore(into: new.store, at: epoch)
            #expect(checkpoint?.epoch == epoch)
            #expect(new.rows.count == Int(100 + step - 1))
            for key in step + 1..<100 + step {
                #expect(
                    new.rows[key] == Second(visits: key + step, token: "\(key)"),
                    "row \(key) of epoch \(epoch)")
            }
            #expect(new.log.count == Int(step) + 1)
            #expect(new.log[step] == Second(visits: step, token: "log"))
        }
        // The newer program goes on: with a full checkpoint, and then with deltas.
        let writer = try await Repository.open(.storage(repository.storage))
        let new = try Self.store(Second.self)
        try await writer.restore(into: new.store)
        #expect(try await writer.holdBase(new.store) == false)
        let options = Self.holding(isReversible: isReversible)
        #expect(try await writer.checkpoint(new.store, options: options).isFull)
        new.rows.update(7) { $0.note = "changed" }
        let delta = try await writer.checkpoint(new.store, options: options)
        #expect(!delta.isFull)
        let again = try Self.store(Second.self)
        try await writer.restore(into: again.store)
        #expect(again.rows[7]?.note == "changed")
    }

    @Test func `a program follows the chain of another version, unless code migrates rows`()
        async throws
    {
        let storage = MemoryStorage()
        let writer = try await Repository.open(.storage(storage))
        let source = try Self.store(First.self)
        func checkpoint(_ step: UInt64) async throws -> UInt64 {
            source.rows[step] = First(visits: UInt32(step), token: "new")
            source.rows.update(1) { $0.visits += 1 }
            source.log.append(First(visits: UInt32(step), token: "log"))
            let options = Self.holding(isReversible: false)
            return try await writer.checkpoint(source.store, options: options).epoch
        }
        _ = try await checkpoint(1)
        let reader = try await Repository.open(.storage(storage), for: .read)
        let follower = try Self.store(Second.self)
        try await reader.restore(into: follower.store)
        let migrating = Store()
        let rows = try migrating.table(
            "rows", key: UInt64.self, row: Third.self,
            migrations: [
                RowMigration(from: First.self, to: Third.self) {
                    Third(visits: UInt64($0.visits), token: $0.token, note: "migrated", more: [])
                }
            ])
        try await reader.restore(into: migrating)
        for step in 2..<5 as Range<UInt64> {
            let epoch = try await checkpoint(step)
            #expect(try await reader.advance(follower.store, to: epoch)?.epoch == epoch)
            #expect(follower.rows[step] == Second(visits: step, token: "new"))
            #expect(follower.rows[1]?.visits == 1 + step)
            #expect(follower.log[step - 1] == Second(visits: step, token: "log"))
            #expect(try await reader.advance(migrating, to: epoch) == nil)
            #expect(rows[1]?.note == "migrated" && rows.count == 1)
            let late = Store()
            let lateRows = try late.table(
                "rows", key: UInt64.self, row: Third.self,
                migrations: migrating.migrations(of: "rows"))
            try await reader.restore(into: late)
            #expect(lateRows[1]?.visits == 1 + step && lateRows[step]?.note == "migrated")
        }
        writer.close()
    }

    @Test func `an older program goes on from a newer one's chain, and back`() async throws {
        let storage = MemoryStorage()
        let options = Self.holding(isReversible: false)
        var count: UInt64 = 0
        func change<Row: SchemaStruct>(
            _ type: Row.Type, _ row: (UInt64) -> Row, _ update: (inout Row.Editor) -> Void
        ) async throws {
            let repository = try await Repository.open(.storage(storage))
            defer { repository.close() }
            let program = try Self.store(type)
            try await repository.restore(into: program.store)
            for _ in 0..<3 {
                program.rows[count] = row(count)
                program.log.append(row(count))
                if count > 0 { program.rows.update(count - 1, update) }
                count += 1
                try await repository.checkpoint(program.store, options: options)
            }
            #expect(try await repository.verify().isGood)
        }
        for _ in 0..<3 {
            try await change(
                Third.self, { Third(visits: $0, token: "\($0)", note: "third", more: [3]) },
                { $0.visits += 1 })
            try await change(
                Second.self, { Second(visits: $0, token: "\($0)", note: "second") },
                { $0.visits += 1 })
        }
        let repository = try await Repository.open(.storage(storage), for: .read)
        let program = try Self.store(Third.self)
        try await repository.restore(into: program.store)
        for key in 0..<count {
            let isThird = key / 3 % 2 == 0
            #expect(
                program.rows[key]
                    == Third(
                        visits: key + (key + 1 < count ? 1 : 0), token: "\(key)",
                        note: isThird ? "third" : "second", more: isThird ? [3] : [1]))
            #expect(program.log[key]?.more == (isThird ? [3] : [1]))
        }
    }

    @Test func `a version that cannot be read leaves the store as it was`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let new = try Self.store(Second.self)
        new.rows[1] = Second(visits: 1, token: "a")
        for _ in 0..<2 {
            new.rows.update(1) { $0.visits += 1 }
            try await repository.checkpoint(new.store, options: Self.holding(isReversible: false))
        }
        let old = try Self.store(First.self)
        for epoch in try await repository.epochs() {
            let error = await #expect(throws: RepositoryError(.mismatch, "")) {
                try await repository.restore(into: old.store, at: epoch)
            }
            #expect(error?.message.contains("W4: region") == true)
        }
        old.rows[1] = First(visits: 1, token: "a")
        #expect(old.rows.count == 1)
    }
}
