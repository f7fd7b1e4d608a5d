/// `table`: get, read, update, insert and memory of one subject without a checkpoint.
enum TableBenchmark {
    static func run(_ options: Options) throws {
        let rows = try options.int("rows", default: 1_000_000)
        let operations = try options.int("operations", default: 2_000_000)
        switch try options.string("subject") {
        case "caesura": try measure(CaesuraTable.self, rows, operations)
        case "caesura-prepared":
            let table = try CaesuraTable()
            table.store.prefault(rows * 300)
            let filling = table.fill(rows: rows)
            Result(
                "insert", CaesuraTable.subject + ", memory prepared", short(rows), "ns/row",
                filling / Double(rows)
            ).print()
        case "dictionary": try measure(DictionaryTable.self, rows, operations)
        case "tree": try measure(TreeTable.self, rows, operations)
        case let other: throw Failure("no such subject: \(other)")
        }
    }

    private static func measure<Table: SessionTable>(
        _ type: Table.Type, _ rows: Int, _ operations: Int
    ) throws {
        let scale = short(rows)
        func report(_ metric: String, _ unit: String, _ value: Double, _ subject: String? = nil) {
            Result(metric, subject ?? Table.subject, scale, unit, value).print()
        }

        let before = Memory.residentBytes()
        let table = try Table()
        let filling = table.fill(rows: rows)
        let memory = Memory.residentBytes() - before
        guard table.count == rows else { throw Failure("\(table.count) rows instead of \(rows)") }
        report("insert", "ns/row", filling / Double(rows))
        report("memory", "B/row", Double(memory) / Double(rows))

        func time(_ body: (Int) -> Void) -> Double {
            var random = RandomRows(rows: rows)
            return nanoseconds {
                for _ in 0..<operations { body(random.next()) }
            } / Double(operations)
        }
        var sum: UInt64 = 0
        report(
            "read a field", "ns/op", time { sum &+= UInt64(table.readVisits(Session.id($0)) ?? 0) })
        // Keys of rows that do not exist: numbers beyond the last row.
        report(
            "read, no such row", "ns/op",
            time { sum &+= UInt64(table.readVisits(Session.id($0 + rows)) ?? 0) })
        report(
            "get a row", "ns/op",
            time { id in
                if let row = table.get(Session.id(id)) {
                    sum &+= UInt64(row.visits) &+ UInt64(row.token.utf8.count)
                }
            })
        report("update a field", "ns/op", time { table.addVisit(Session.id($0)) })
        if let table = table as? DictionaryTable {
            report(
                "read a field", "ns/op",
                time { sum &+= UInt64(table.readVisitsByIndex(Session.id($0)) ?? 0) },
                Table.subject + ", by index")
            report(
                "update a field", "ns/op", time { table.addVisitByIndex(Session.id($0)) },
                Table.subject + ", by index")
        }
        // Strings made outside the clock; each goes to many rows.
        let tokens = (0..<1024).map { Session.token(UInt64($0) &* 0x1234_5678_9ABC_DEF1) }
        report(
            "replace a string", "ns/op",
            time { table.replaceToken(Session.id($0), tokens[$0 & 1023]) })
        keep(sum)
    }
}
