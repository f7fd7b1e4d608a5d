@testable import Caesura
import CaesuraFormat
import Synchronization
import Testing

/// Writers, transactions and cuts side by side: what every cut must show.
@Suite struct ConcurrencyTests {
    struct Shortage: Error {}

    /// How many of some writers are still at work.
    final class Running: Sendable {
        private let count: Atomic<Int>
        init(_ count: Int) { self.count = Atomic(count) }
        var isNone: Bool { count.load(ordering: .acquiring) == 0 }
        func done() { count.subtract(1, ordering: .releasing) }
    }

    /// Moves amounts from rows of one table to rows of the other, as transactions.
    struct Bank: Sendable {
        static let accounts: UInt64 = 200
        let store = Store()
        let left: Table<UInt64, SampleRow>
        let right: Table<UInt64, SampleRow>

        init() throws {
            left = try store.table("left", key: UInt64.self, row: SampleRow.self)
            right = try store.table("right", key: UInt64.self, row: SampleRow.self)
            for i in 0..<Self.accounts {
                left[i] = SampleRow(user: 1_000, token: "l", visits: 0, note: nil)
                right[i] = SampleRow(user: 1_000, token: "r", visits: 0, note: nil)
            }
        }

        func transfer(_ amount: UInt64, from: UInt64, to: UInt64) throws {
            try store.transaction(left.row(from), right.row(to)) { transaction in
                transaction.update(right, to) { $0.visits += 1 }
                var debit = transaction[left, from]!
                // What the transaction did before it throws is put back.
                guard debit.user >= amount else { throw Shortage() }
                debit.user -= amount
                transaction[left, from] = debit
                var credit = transaction[right, to]!
                credit.user += amount
                transaction[right, to] = credit
            }
        }

        /// The sum over both tables, and the transfers that the right one counted.
        func totals(of cut: Cut) throws -> (sum: UInt64, transfers: UInt64) {
            var sum: UInt64 = 0
            var transfers: UInt64 = 0
            try cut.forEach(in: left) { _, row in sum += row.user }
            try cut.forEach(in: right) { _, row in
                sum += row.user
                transfers += UInt64(row.visits)
            }
            return (sum, transfers)
        }
    }

    @Test func `every cut shows transfers between two tables whole`() throws {
        let bank = try Bank()
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        let running = Running(2)
        let transfers = Atomic<Int>(0)
        let writer: @Sendable (UInt64) -> Void = { writer in
            defer { running.done() }
            var random = TableModelTests.Random(state: seed &+ writer)
            for _ in 0..<3_000 {
                let from = UInt64.random(in: 0..<Bank.accounts, using: &random)
                let to = UInt64.random(in: 0..<Bank.accounts, using: &random)
                let amount = UInt64.random(in: 1...50, using: &random)
                if (try? bank.transfer(amount, from: from, to: to)) != nil {
                    transfers.add(1, ordering: .relaxed)
                }
            }
        }
        try onThreads(
            { writer(0) }, { writer(1) },
            {
                var last: UInt64 = 0
                while !running.isNone {
                    let cut = bank.store.cut()
                    let totals = try bank.totals(of: cut)
                    #expect(totals.sum == Bank.accounts * 2_000)
                    #expect(totals.transfers >= last)
                    last = totals.transfers
                    cut.close()
                }
            })
        let totals = try bank.totals(of: bank.store.cut())
        #expect(totals.sum == Bank.accounts * 2_000)
        #expect(totals.transfers == UInt64(transfers.load(ordering: .relaxed)))
        #expect(bank.store.memoryUse.retained == 0)
    }

    @Test func `of two writes in order no cut shows the later alone`() throws {
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<64 as Range<UInt64> {
            table[key] = SampleRow(user: 0, token: "", visits: 0, note: nil)
        }
        let running = Running(1)
        try onThreads(
            {
                defer { running.done() }
                // Key k is written after key k - 1, over and over: at no instant do visits grow with it.
                for round in 1...400 as ClosedRange<UInt32> {
                    for key in 0..<64 as Range<UInt64> { table.update(key) { $0.visits = round } }
                }
            },
            {
                while !running.isNone {
                    let cut = store.cut()
                    var visits: [UInt32] = []
                    for key in 0..<64 as Range<UInt64> {
                        visits.append(try cut.read(key, in: table) { $0.visits } ?? .max)
                    }
                    #expect(zip(visits, visits.dropFirst()).allSatisfy { $0 >= $1 })
                    #expect(visits.first! - visits.last! <= 1)
                }
            })
    }

    @Test func `cuts are encoded and restored while writers go on`() throws {
        let store = Store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<5_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        let running = Running(1)
        let writer: @Sendable (UInt64) -> Void = { writer in
            var random = TableModelTests.Random(state: seed &+ writer)
            while !running.isNone {
                let key = UInt64.random(in: 0..<5_000, using: &random)
                let token = TableModelTests.string(&random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: table[key] = SnapshotTests.row(random.next())
                case 1: table.remove(key)
                case 2: table.update(key) { $0.token = token }
                default: table.update(key) { $0.visits &+= 1 }
                }
            }
        }
        try onThreads(
            { writer(0) }, { writer(1) },
            {
                defer { running.done() }
                for _ in 0..<6 {
                    let cut = store.cut()
                    let first = try cut.write(to: ByteArraySink()).bytes
                    let second = try cut.write(to: ByteArraySink()).bytes
                    #expect(first == second)
                    let (_, back) = try SnapshotTests.restore(first)
                    #expect(back.count == cut.rowCount(of: "sample"))
                }
            })
    }

    /// The chunks of a cut, in order, encoded on so many threads.
    static func chunks(of cut: Cut, threads: Int) throws -> [[UInt8]] {
        let source = try SnapshotSource(cut)
        let chunks = Guarded<[Int: [UInt8]]>([:])
        let body: @Sendable () throws -> Void = {
            let worker = SnapshotSource.Worker(for: source)
            while let job = try source.next() {
                var bytes: [UInt8] = []
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (_, chunk) throws(StoreError) in unsafe bytes += chunk },
                    refused: { $0 })
                chunks.withLock { $0[job.ordinal] = bytes }
            }
        }
        switch threads {
        case 1: try onThreads(body)
        case 2: try onThreads(body, body)
        default: try onThreads(body, body, body, body, body)
        }
        return chunks.withLock { chunks in chunks.keys.sorted().map { chunks[$0]! } }
    }

    @Test func `the number of encoding threads does not show in the bytes`() throws {
        let store = SnapshotTests.store()
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        for key in 0..<30_000 as Range<UInt64> { table[key] = SnapshotTests.row(key) }
        table[1] = SampleRow(
            user: 1, token: String(repeating: "large", count: 500_000), visits: 0, note: nil)
        let cut = store.cut()
        let one = try Self.chunks(of: cut, threads: 1)
        #expect(one.count == 16)
        #expect(try Self.chunks(of: cut, threads: 2) == one)
        #expect(try Self.chunks(of: cut, threads: 5) == one)
    }
}
