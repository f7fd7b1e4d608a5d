import Caesura
import CaesuraFormat
import Testing

@Schema("counters")
struct Counters: Equatable {
    @Field(1) var total: UInt64 = 0
    @Field(2) var label: String = "none"
    @Field(3) var last: UInt32?
}

/// Tables, logs and cells of one store beside plain values, under random operations.
@Suite struct RegionModelTests {
    typealias Random = TableModelTests.Random

    /// What a store should hold.
    struct Model {
        var head: UInt64 = 0
        var rows: [SampleRow] = []
        var counters = Counters()
        var table: [UInt64: SampleRow] = [:]

        var end: UInt64 { head + UInt64(rows.count) }
    }

    /// A store with a region of each kind.
    struct Subject {
        let store: Store
        let log: Log<SampleRow>
        let cell: Cell<Counters>
        let table: Table<UInt64, SampleRow>

        init(_ store: Store) throws {
            self.store = store
            log = try store.log("log", row: SampleRow.self)
            cell = try store.cell("cell", initial: Counters())
            table = try store.table("table", key: UInt64.self, row: SampleRow.self)
        }

        func check(_ model: Model) {
            #expect(log.positions == model.head..<model.end)
            #expect(log.count == model.rows.count)
            #expect(cell.value == model.counters)
            #expect(table.count == model.table.count)
            for (index, row) in model.rows.enumerated() {
                if log[model.head + UInt64(index)] != row { Issue.record("row \(index) differs") }
            }
            for (key, row) in model.table where table[key] != row {
                Issue.record("row of \(key) differs")
            }
        }

        func check(_ model: Model, in cut: Cut) throws {
            #expect(try cut.positions(of: log) == model.head..<model.end)
            #expect(cut.rowCount(of: "log") == model.rows.count)
            #expect(try cut.read(cell) { $0.total } == model.counters.total)
            #expect(try cut.read(cell) { $0.label } == model.counters.label)
            var next = model.head
            var differing = 0
            try cut.forEach(in: log) { position, row in
                let expected = model.rows[Int(position - model.head)]
                if position != next || row.token != expected.token || row.user != expected.user
                    || row.note != expected.note
                {
                    differing += 1
                }
                next += 1
            }
            #expect(next == model.end && differing == 0)
            if let middle = model.rows.indices.randomElement() {
                let position = model.head + UInt64(middle)
                #expect(
                    try cut.read(position, in: log) { $0.token } == model.rows[middle].token)
                var seen: [UInt64] = []
                let few = position..<min(position + 100, model.end)
                try cut.forEach(in: log, at: few) { position, _ in seen.append(position) }
                #expect(seen == Array(few))
            }
            #expect(try cut.read(model.end, in: log) { $0.user } == nil)
            var rows = 0
            try cut.forEach(in: table) { key, row in
                rows += 1
                if model.table[key]?.token != row.token { differing += 1 }
            }
            #expect(rows == model.table.count && differing == 0)
        }
    }

    static func row(_ random: inout Random) -> SampleRow {
        SampleRow(
            user: random.next(), token: TableModelTests.string(&random),
            visits: UInt32.random(in: 0..<9, using: &random),
            note: Bool.random(using: &random) ? TableModelTests.string(&random) : nil)
    }

    static func subject(_ seed: UInt64, partitionBits: Int = 2) throws -> Subject {
        var configuration = Store.Configuration()
        configuration.partitionBits = partitionBits
        configuration.hashKey = HashKey(k0: seed, k1: 7)
        return try Subject(Store(configuration))
    }

    /// One random change of both.
    static func change(_ subject: Subject, _ model: inout Model, _ random: inout Random) {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<8:
            let row = row(&random)
            #expect(subject.log.append(row) == model.end)
            model.rows.append(row)
        case 8..<10:
            let count = Int.random(in: 0...300, using: &random)
            let rows = (0..<count).map { _ in row(&random) }
            let end = model.end
            #expect(subject.log.append(contentsOf: rows) == end..<end + UInt64(count))
            model.rows += rows
        case 10:
            let all = Int.random(in: 0..<8, using: &random) == 0
            let count =
                all ? model.rows.count : Int.random(in: 0...model.rows.count / 3, using: &random)
            subject.log.trim(before: all ? .max : model.head + UInt64(count))
            model.rows.removeFirst(count)
            model.head += UInt64(count)
        case 11..<14:
            let key = UInt64.random(in: 0..<200, using: &random)
            let row = row(&random)
            subject.table[key] = row
            model.table[key] = row
        case 14:
            let key = UInt64.random(in: 0..<200, using: &random)
            subject.table[key] = nil
            model.table[key] = nil
        case 15:
            let counters = Counters(
                total: random.next(), label: TableModelTests.string(&random), last: nil)
            subject.cell.value = counters
            model.counters = counters
        default:
            let last = UInt32.random(in: 0..<99, using: &random)
            subject.cell.update {
                $0.total &+= 1
                $0.last = last
            }
            model.counters.total &+= 1
            model.counters.last = last
        }
    }

    @Test(arguments: [0, 3])
    func `a store of all regions does what plain values do, and so do its cuts and snapshots`(
        partitionBits: Int
    ) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let subject = try Self.subject(seed, partitionBits: partitionBits)
        var model = Model()
        var cuts: [(cut: Cut, model: Model)] = []
        for step in 0..<4_000 {
            Self.change(subject, &model, &random)
            switch Int.random(in: 0..<200, using: &random) {
            case 0..<5:
                cuts.append((subject.store.cut(), model))
                if cuts.count > 4 {
                    let (cut, then) = cuts.remove(at: Int.random(in: 0..<4, using: &random))
                    try subject.check(then, in: cut)
                    cut.close()
                }
            case 5:
                let cut = subject.store.cut()
                let bytes = try cut.write(to: ByteArraySink()).bytes
                cut.close()
                let other = try Self.subject(seed &+ 1, partitionBits: 1)
                try Self.restore(bytes, into: other.store)
                other.check(model)
                // What goes on after the restore is as before it.
                other.log.append(Self.row(&random))
                #expect(other.log.positions == model.head..<model.end + 1)
            case 6 where step > 3_000:
                subject.store.removeAll()
                model = Model(head: model.end)
            default: break
            }
        }
        subject.check(model)
        for (cut, then) in cuts { try subject.check(then, in: cut) }
        cuts = []
        subject.log.trim(before: .max)
        subject.store.cut().close()
        #expect(subject.store.memoryUse.retained == 0)
    }

    @Test func `snapshots do not depend on how rows came, nor on threads`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        var rows = (0..<40_000).map { _ in Self.row(&random) }
        for index in stride(from: 5_000, to: 5_080, by: 1) {
            // Stretches whose rows do not fit in one chunk, and rows with segments.
            rows[index].token = String(repeating: "x", count: 30_000 + index)
        }
        rows[12_000].token = String(repeating: "y", count: 1_500_000)
        rows[12_001].note = String(repeating: "z", count: 70_000)
        let head: UInt64 = 3_210
        var streams: [[UInt8]] = []
        for way in 0..<4 {
            let subject = try Self.subject(1)
            switch way {
            case 0: for row in rows { subject.log.append(row) }
            case 1: subject.log.append(contentsOf: rows)
            default:
                var next = 0
                while next < rows.count {
                    let end = min(rows.count, next + Int.random(in: 1...999, using: &random))
                    subject.log.append(contentsOf: rows[next..<end])
                    next = end
                    // Nothing of this shows.
                    if Int.random(in: 0..<9, using: &random) == 0 { subject.store.cut().close() }
                }
            }
            subject.log.trim(before: head)
            let cut = subject.store.cut()
            var bytes = try cut.write(to: ByteArraySink()).bytes
            if way == 3 {
                let one = try ConcurrencyTests.chunks(of: cut, threads: 1)
                #expect(try ConcurrencyTests.chunks(of: cut, threads: 2) == one)
                #expect(try ConcurrencyTests.chunks(of: cut, threads: 4) == one)
            }
            // Epochs differ by the cuts that were taken.
            let other = try Self.subject(1)
            try Self.restore(bytes, into: other.store)
            bytes = try Self.logChunks(bytes)
            #expect(try Self.logChunks(other.store.cut().write(to: ByteArraySink()).bytes) == bytes)
            streams.append(bytes)
        }
        for stream in streams { #expect(stream == streams[0]) }
    }

    static func restore(_ bytes: [UInt8], piece: Int = .max, into store: Store) throws {
        var restorer = StreamRestorer(into: store)
        for start in stride(from: 0, to: bytes.count, by: min(piece, bytes.count)) {
            try restorer.push(Array(bytes[start..<min(start &+ piece, bytes.count)]))
        }
        try restorer.finish()
    }

    /// The bytes of the chunks of the log.
    static func logChunks(_ bytes: [UInt8]) throws -> [UInt8] {
        try chunks(bytes).filter { $0.header.targetEpoch == 0 }.flatMap(\.bytes)
    }

    static func chunks(_ bytes: [UInt8]) throws -> [(header: ChunkHeader, bytes: [UInt8])] {
        var reader = StreamReader()
        reader.push(bytes)
        var chunks: [(header: ChunkHeader, bytes: [UInt8])] = []
        while let item = try reader.next() {
            if case .chunk(let chunk) = item {
                chunks.append((chunk.header, unsafe Array(chunk.bytes)))
            }
        }
        return chunks
    }
}
