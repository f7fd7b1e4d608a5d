import Caesura
import CaesuraFormat

/// `versions`: rows of another version of the schema, in turns with those of the same, one thread.
///
/// Restoring them, using a table that keeps fields for others, applying deltas.
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
        try compareUse(rows, passes, [("no fields kept", first), ("2 fields kept", added)])
        try compareDeltas(rows, passes)
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

    /// Reads, updates and inserts rows of a table of the first version.
    private static func compareUse(
        _ rows: Int, _ passes: Int,
        _ data: [(name: String, written: (chunks: [UInt8], metadata: StreamMetadata))]
    ) throws {
        let operations = 1_000_000
        let subjects = try data.map { data in
            let table = try CaesuraTable()
            table.store.prefault(rows * 500)
            try StoreEncoding.apply(data.written.chunks, data.written.metadata, to: table.store)
            return (data.name, table)
        }
        var sum: UInt64 = 0
        let tokens = (0..<1024).map { Session.token(UInt64($0) &* 0x1234_5678_9ABC_DEF1) }
        let spare = Session(rows)
        let uses: [(metric: String, body: (CaesuraTable, Int) -> Void)] = [
            ("read a field", { sum &+= UInt64($0.readVisits(Session.id($1)) ?? 0) }),
            ("update a field", { $0.addVisit(Session.id($1)) }),
            ("replace a string", { $0.replaceToken(Session.id($1), tokens[$1 & 1023]) }),
            ("set a row", { $0.insert(Session.id($1), spare) }),
        ]
        for use in uses {
            var best = subjects.map { _ in Double.infinity }
            for _ in 0..<passes {
                for (index, subject) in subjects.enumerated() {
                    var random = RandomRows(rows: rows)
                    best[index] = min(
                        best[index],
                        nanoseconds {
                            for _ in 0..<operations { use.body(subject.1, random.next()) }
                        })
                }
            }
            for (index, subject) in subjects.enumerated() {
                Result(
                    use.metric, Target.subject + ", " + subject.0, short(rows), "ns/op",
                    best[index] / Double(operations)
                ).print()
            }
        }
        // Each pass inserts rows that the others did not.
        var best = subjects.map { _ in Double.infinity }
        for pass in 0..<passes {
            for (index, subject) in subjects.enumerated() {
                let first = rows + pass * rows / 10
                best[index] = min(
                    best[index],
                    nanoseconds {
                        for row in first..<first + rows / 10 {
                            subject.1.insert(Session.id(row), spare)
                        }
                    })
            }
        }
        for (index, subject) in subjects.enumerated() {
            Result(
                "insert", Target.subject + ", " + subject.0, short(rows), "ns/row",
                best[index] / Double(rows / 10)
            ).print()
        }
        keep(sum)
    }

    /// Applies deltas of the first version, of one row in a hundred, to a store of the same and to one of the next.
    private static func compareDeltas(_ rows: Int, _ passes: Int) throws {
        let source = try CaesuraTable()
        _ = source.fill(rows: rows)
        var base = source.store.cut()
        let snapshot = try base.write(to: ByteArraySink()).bytes
        func follower<Row: SchemaStruct>(_ type: Row.Type) throws -> Store {
            let store = Store()
            _ = try store.table("sessions", key: UInt64.self, row: Row.self)
            var restorer = StreamRestorer(into: store)
            try restorer.push(snapshot)
            try restorer.finish()
            return store
        }
        let followers = [try follower(Session.self), try follower(NextSession.self)]
        var workers: [DeltaApplier.Worker?] = [nil, nil]
        var digest = try DeltaBenchmark.end(of: snapshot).digest
        var random = RandomRows(rows: rows)
        var best = [Double.infinity, Double.infinity]
        for _ in 0..<passes {
            for _ in 0..<rows / 100 {
                source.sessions.update(Session.id(random.next())) {
                    $0.visits &+= 1
                    $0.lastSeen += 1_000
                }
            }
            let cut = source.store.cut()
            let delta = try DeltaBenchmark.encode(from: base, to: cut, digest)
            for (index, store) in followers.enumerated() {
                best[index] = min(
                    best[index],
                    try nanoseconds {
                        try DeltaBenchmark.apply(
                            delta, at: cut.epoch.rawValue, to: store, &workers[index])
                    })
            }
            (base, digest) = (cut, delta.end.digest)
        }
        for (name, time) in zip(["the same version", "to the next version"], best) {
            Result(
                "delta, applying a changed row", Target.subject + ", " + name,
                "1% of \(short(rows))", "ns", time / Double(rows / 100)
            ).print()
        }
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
