import Caesura
import CaesuraFormat
import Testing

/// Programs of different versions of a schema that read each other's data.
@Suite struct SchemaVersionTests {
    /// A table, a log and a cell of one row type: one program's store.
    private struct Program<Row: SchemaStruct & Hashable> {
        let store: Store
        let table: Table<UInt64, Row>
        let log: Log<Row>
        let cell: Cell<Row>

        init(store: Store, table: Table<UInt64, Row>, log: Log<Row>, cell: Cell<Row>) {
            self.store = store
            self.table = table
            self.log = log
            self.cell = cell
        }

        init(_ initial: Row) throws {
            var configuration = Store.Configuration()
            configuration.partitionBits = 2
            store = Store(configuration)
            table = try store.table("table", key: UInt64.self, row: Row.self)
            log = try store.log("log", row: Row.self)
            cell = try store.cell("cell", initial: initial)
        }

        func fill(_ seeds: Range<UInt64>, _ row: (UInt64) -> Row) {
            for seed in seeds { table[seed] = row(seed) }
            log.append(contentsOf: seeds.map(row))
            cell.value = row(seeds.upperBound)
        }

        /// Whether the store has exactly these rows.
        func holds(_ seeds: Range<UInt64>, _ row: (UInt64) -> Row) -> Bool {
            table.count == seeds.count && log.count == seeds.count
                && seeds.allSatisfy { table[$0] == row($0) }
                && log.positions.elementsEqual(0..<UInt64(seeds.count))
                && zip(log.positions, seeds).allSatisfy { log[$0] == row($1) }
                && cell.value == row(seeds.upperBound)
        }

        var bytes: [UInt8] {
            get throws {
                let cut = store.cut()
                defer { cut.close() }
                return try cut.write(to: ByteArraySink()).bytes
            }
        }

        func restore(_ bytes: [UInt8]) throws {
            var restorer = StreamRestorer(into: store)
            try restorer.push(bytes)
            try restorer.finish()
        }
    }

    private func version1() throws -> Program<Version1.Session> {
        try Program(Version1.Session(99))
    }
    private func version2() throws -> Program<Version2.Session> {
        try Program(Version2.Session(99))
    }
    private func version3() throws -> Program<Version3.Session> {
        try Program(Version3.Session(99))
    }

    @Test func `older rows come with defaults, without what is retired, and wider`() throws {
        let old = try version1()
        old.fill(0..<700, Version1.Session.init)
        let new = try version2()
        try new.restore(old.bytes)
        #expect(new.holds(0..<700) { Version2.Session(Version1.Session($0)) })
        // What it writes is its own version, whatever it has read.
        let fresh = try version2()
        try fresh.restore(new.bytes)
        #expect(fresh.holds(0..<700) { Version2.Session(Version1.Session($0)) })
        #expect(new.store.regions == fresh.store.regions)
        #expect(new.store.regions.allSatisfy { $0.row == Version2.Session.schema })
    }

    @Test func `an older program gives back what it does not know`() throws {
        let new = try version3()
        new.fill(0..<700, Version3.Session.init)
        let old = try version2()
        try old.restore(new.bytes)
        for seed in 0..<700 as Range<UInt64> {
            var row = Version2.Session(seed)
            row.plan = 7
            #expect(old.table[seed] == row)
        }
        // The older program retires nothing of the newer one's, so only its default of a retired field is beside it.
        let again = try version3()
        try again.restore(old.bytes)
        #expect(again.holds(0..<700, Version3.Session.init))
    }

    @Test func `what an older program changes and inserts has the rest as it was, or by default`()
        throws
    {
        let new = try version3()
        new.fill(0..<300, Version3.Session.init)
        let old = try version2()
        try old.restore(new.bytes)
        let cut = old.store.cut()
        for seed in 0..<300 as Range<UInt64> {
            switch seed % 6 {
            case 0: old.table.update(seed) { $0.visits += 1 }
            case 1:
                old.table.update(seed) { $0.token += " and some more, so that the page is rebuilt" }
            case 2: old.table.update(seed) { $0.address = nil }
            case 3: old.table.update(seed) { $0.address = Version2.Address(city: "C", zip: "Z") }
            case 4: old.table[seed] = Version2.Session(seed + 1_000)
            default: old.table[seed] = nil
            }
            old.table[seed + 5_000] = Version2.Session(seed)
        }
        old.log.append(Version2.Session(1))
        old.log.append(contentsOf: (2..<500).map { Version2.Session($0) })
        old.cell.update { $0.visits = 5 }
        cut.close()
        let again = try version3()
        try again.restore(old.bytes)

        func inserted(_ seed: UInt64) -> Version3.Session {
            let row = Version2.Session(seed)
            func address(_ old: Version2.Address) -> Version3.Address {
                Version3.Address(city: old.city, zip: old.zip)
            }
            return Version3.Session(
                user: row.user, token: row.token, visits: row.visits,
                address: row.address.map(address), status: row.status, score: row.score,
                note: row.note, place: address(row.place))
        }
        for seed in 0..<300 as Range<UInt64> {
            var row: Version3.Session? = Version3.Session(seed)
            switch seed % 6 {
            case 0: row?.visits += 1
            case 1: row?.token += " and some more, so that the page is rebuilt"
            case 2: row?.address = nil
            case 3:
                let before = row?.address
                row?.address = Version3.Address(
                    notes: before?.notes ?? [1, 2, 3], city: "C", zip: "Z",
                    size: before?.size ?? -1)
            case 4:
                let other = inserted(seed + 1_000)
                let before = Version3.Session(seed)
                row = other
                row?.tags = before.tags
                row?.home = before.home
                row?.place.notes = before.place.notes
                row?.place.size = before.place.size
                if let address = before.address, row?.address != nil {
                    row?.address?.notes = address.notes
                    row?.address?.size = address.size
                }
            default: row = nil
            }
            #expect(again.table[seed] == row, "row \(seed)")
            #expect(again.table[seed + 5_000] == inserted(seed))
        }
        #expect(again.log.count == 799)
        for position in 300..<799 as Range<UInt64> {
            #expect(again.log[position] == inserted(position - 299))
        }
        var value = Version3.Session(300)
        value.visits = 5
        #expect(again.cell.value == value)
    }

    @Test func `a value of an unknown case stays until it is set`() throws {
        let new = try version2()
        new.fill(0..<30, Version2.Session.init)
        let old = try version1()
        // Wider fields are none that an older program reads.
        #expect(throws: SnapshotError<Never>.self) { try old.restore(new.bytes) }
        let newest = try version3()
        newest.fill(0..<30, Version3.Session.init)
        let bytes = try newest.bytes
        let store = Store()
        let table = try store.table("table", key: UInt64.self, row: StatusOnly.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(bytes)
        try restorer.finish()
        for seed in 0..<30 as Range<UInt64> {
            #expect(table[seed]?.status == (seed % 3 == 0 ? .active : .blocked))
            table.update(seed) { $0.user += 1 }
        }
        table.update(2) { $0.status = .active }
        let again = try version3()
        try again.restore(store.cut().write(to: ByteArraySink()).bytes)
        for seed in 0..<30 as Range<UInt64> {
            var row = Version3.Session(seed)
            row.user += 1
            if seed == 2 { row.status = .active }
            #expect(again.table[seed] == row)
        }
    }

    /// A program of the first version that knows two fields.
    @Schema("session")
    struct StatusOnly: Hashable {
        @Field(7) var status: Version1.Status
        @Field(1) var user: UInt64
    }

    @Test func `reading changes nothing in what is written later`() throws {
        let programs: [[UInt8]] = try [
            {
                let program = try version1()
                program.fill(0..<100, Version1.Session.init)
                return try program.bytes
            }(),
            {
                let program = try version2()
                program.fill(0..<100, Version2.Session.init)
                return try program.bytes
            }(),
        ]
        func written(by program: Program<Version2.Session>) throws -> ([RegionSchema], [UInt8]) {
            program.fill(0..<50, Version2.Session.init)
            return (program.store.regions, Array(try program.bytes.prefix(4)))
        }
        let fresh = try written(by: version2())
        let newest = try version3()
        newest.fill(0..<100, Version3.Session.init)
        let all = try programs + [newest.bytes]
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let program = try version2()
            for version in order + [1] {
                program.store.removeAll()
                try program.restore(all[version])
            }
            program.store.removeAll()
            let now = try written(by: program)
            #expect(now.0 == fresh.0, "after \(order)")
            #expect(now.1 == fresh.1)
            #expect(program.table[7] == Version2.Session(7))
        }
    }

    @Test func `a store that was emptied keeps what the last restore taught it, until the next`()
        throws
    {
        let newest = try version3()
        newest.fill(0..<10, Version3.Session.init)
        let program = try version2()
        try program.restore(newest.bytes)
        let stored = program.store.regions
        #expect(stored.allSatisfy { $0.row.version == 3 })
        #expect(program.table.schema.row == Version2.Session.schema)
        program.store.removeAll()
        program.fill(0..<10, Version2.Session.init)
        #expect(program.store.regions == stored)
        // Declared again, they are the same.
        let table = try program.store.table("table", key: UInt64.self, row: Version2.Session.self)
        #expect(table[3] == Version2.Session(3))
    }

    @Test func `types that are declared after the restore take rows of other versions`() throws {
        func late<Row: SchemaStruct & Hashable>(
            _ bytes: [UInt8], _ initial: Row
        ) throws -> Program<Row> {
            var configuration = Store.Configuration()
            configuration.partitionBits = 3
            let store = Store(configuration)
            var restorer = StreamRestorer(into: store)
            try restorer.push(bytes)
            try restorer.finish()
            return Program(
                store: store,
                table: try store.table("table", key: UInt64.self, row: Row.self),
                log: try store.log("log", row: Row.self),
                cell: try store.cell("cell", initial: initial))
        }
        let first = try version1()
        first.fill(0..<400, Version1.Session.init)
        let second = try late(first.bytes, Version2.Session(99))
        #expect(second.holds(0..<400) { Version2.Session(Version1.Session($0)) })
        let third = try version3()
        third.fill(0..<400, Version3.Session.init)
        let older = try late(third.bytes, Version2.Session(99))
        for seed in 0..<400 as Range<UInt64> {
            var row = Version2.Session(seed)
            row.plan = 7
            #expect(older.table[seed] == row)
            older.table.update(seed) { $0.visits += 1 }
        }
        let again = try version3()
        try again.restore(older.bytes)
        for seed in 0..<400 as Range<UInt64> {
            var row = Version3.Session(seed)
            row.visits += 1
            #expect(again.table[seed] == row)
            #expect(again.log[seed] == Version3.Session(seed))
        }
        // A version that cannot be read leaves the rows where they are.
        let store = Store()
        var restorer = StreamRestorer(into: store)
        try restorer.push(third.bytes)
        try restorer.finish()
        let error = #expect(throws: StoreError.self) {
            try store.table("table", key: UInt64.self, row: Version1.Session.self)
        }
        #expect(error?.code == .schemaMismatch)
        #expect(error?.message.contains("W4") == true)
        #expect(store.rowCount(of: "table") == 400)
    }

    @Test func `a schema whose unknown fields have no place is refused before a row`() throws {
        func region(_ version: UInt32, _ members: Int) -> RegionSchema {
            let fields = (1...65 as ClosedRange<UInt16>).map { number in
                Field(
                    number: number, name: "f\(number)",
                    type: .optional(
                        .structure(
                            (1...UInt16(members)).map {
                                Field(
                                    number: $0, name: "m\($0)", type: .scalar(.uint8),
                                    defaultValue: .uint(7))
                            })))
            }
            return RegionSchema(
                name: "cell", kind: .cell, key: nil,
                row: Schema(name: "row", version: version, fields: fields))
        }
        func bytes(_ schema: RegionSchema) throws -> [UInt8] {
            let source = Store()
            try source.declare(schema)
            return try source.cut().write(to: ByteArraySink()).bytes
        }
        let store = Store()
        try store.declare(region(1, 1))
        var restorer = StreamRestorer(into: store)
        let error = #expect(throws: SnapshotError<Never>.self) {
            try restorer.push(bytes(region(2, 2)))
        }
        guard case .store(let refusal)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal.code == .unsupportedSchema)
        // What has a place is taken afterwards.
        var again = StreamRestorer(into: store)
        try again.push(bytes(region(1, 1)))
        try again.finish()
    }
}
