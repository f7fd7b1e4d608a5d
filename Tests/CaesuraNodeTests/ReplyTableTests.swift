import CaesuraFormat
import Foundation
import Synchronization
import Testing

@testable import Caesura
@testable import CaesuraNode

@Schema("account")
struct Account: Equatable {
    @Field(1) var balance: Int64
    @Field(2) var name: String
    @Field(3) var photo: [UInt8]
}

/// Replies that are kept with what the writes have done.
struct ReplyTableTests {
    static let hashKey = HashKey(k0: 7, k1: 8)

    /// A store with accounts, and writes to them that have replies.
    struct Node: Sendable {
        let store: Store
        let accounts: Table<UInt64, Account>
        let replies: ReplyTable

        init(partitionBits: Int = 8) throws {
            var configuration = Store.Configuration()
            configuration.partitionBits = partitionBits
            configuration.hashKey = ReplyTableTests.hashKey
            try self.init(Store(configuration))
        }

        init(_ store: Store) throws {
            self.store = store
            accounts = try store.table("accounts", key: UInt64.self, row: Account.self)
            replies = try ReplyTable(in: store)
        }

        /// Adds to a balance; the reply is the balance after it, as text.
        @discardableResult func deposit(
            _ amount: Int64 = 1, to account: UInt64, by client: UInt64, _ sequence: UInt64,
            at time: Int64 = 0, in range: HashRange = .all
        ) -> ReplyTable.Outcome {
            replies.perform(
                client: client, sequence: sequence, place: replies.place(of: client, in: range),
                at: Timestamp(microseconds: time), in: range, touching: [accounts.row(account)]
            ) { transaction in
                var row =
                    transaction[accounts, account] ?? Account(balance: 0, name: "n", photo: [7])
                row.balance += amount
                transaction[accounts, account] = row
                return ReplyTableTests.reply(row.balance)
            }
        }
    }

    static func reply(_ balance: Int64) -> [UInt8] { Array("\(balance)".utf8) }

    @Test func `a write that comes again gets its reply and has no second effect`() throws {
        let node = try Node()
        #expect(node.deposit(5, to: 1, by: 9, 3) == .done(Self.reply(5)))
        #expect(node.deposit(5, to: 1, by: 9, 3) == .repeated(Self.reply(5)))
        #expect(node.deposit(5, to: 1, by: 9, 2) == .tooOld)
        #expect(node.accounts[1]?.balance == 5)
        #expect(node.deposit(7, to: 1, by: 9, 4) == .done(Self.reply(12)))
        #expect(node.deposit(7, to: 1, by: 9, 4) == .repeated(Self.reply(12)))
        #expect(node.deposit(5, to: 1, by: 9, 3) == .tooOld)
        #expect(node.accounts[1]?.balance == 12)
        // Another client has numbers of its own.
        #expect(node.deposit(1, to: 1, by: 10, 3) == .done(Self.reply(13)))
        #expect(node.replies.replies.count == 2)
    }

    @Test func `a write that throws leaves nothing and may come again`() throws {
        struct Shortage: Error, Equatable {}
        let node = try Node()
        node.deposit(5, to: 1, by: 9, 1)
        let place = node.replies.place(of: 9, in: .all)
        #expect(throws: Shortage()) {
            _ = try node.replies.perform(
                client: 9, sequence: 2, place: place, at: Timestamp(microseconds: 0), in: .all,
                touching: [node.accounts.row(1), node.accounts.row(2)]
            ) { (transaction) throws(Shortage) in
                transaction.update(node.accounts, 1) { $0.balance = 1_000 }
                transaction[node.accounts, 2] = Account(balance: 1, name: "", photo: [])
                throw Shortage()
            }
        }
        #expect(node.accounts[1]?.balance == 5)
        #expect(node.accounts[2] == nil)
        #expect(node.deposit(5, to: 1, by: 9, 1) == .repeated(Self.reply(5)))
        #expect(node.deposit(2, to: 1, by: 9, 2) == .done(Self.reply(7)))
    }

    @Test func `a reply has at most 1,024 bytes`() throws {
        let node = try Node()
        let place = node.replies.place(of: 9, in: .all)
        func write(_ sequence: UInt64, _ reply: [UInt8]) -> ReplyTable.Outcome {
            node.replies.perform(
                client: 9, sequence: sequence, place: place, at: Timestamp(microseconds: 0),
                in: .all, touching: [node.accounts.row(1)]
            ) { transaction in
                transaction[node.accounts, 1] = Account(
                    balance: Int64(reply.count), name: "", photo: [])
                return reply
            }
        }
        let longest = [UInt8](repeating: 7, count: 1_024)
        #expect(write(1, longest) == .done(longest))
        #expect(write(2, longest + [8]) == .tooLong(1_025))
        #expect(node.accounts[1]?.balance == 1_024)
        #expect(write(1, longest) == .repeated(longest))
        #expect(write(2, []) == .done([]))
        #expect(write(2, []) == .repeated([]))
    }

    @Test(arguments: 0...8)
    func `a place is the smallest whose row lies in the partition`(bits: Int) throws {
        let node = try Node()
        for index in 0..<1 << bits {
            let range = HashRange(partition: index, bits: bits)
            for client in [0, 1, .max] as [UInt64] {
                let place = node.replies.place(of: client, in: range)
                let inside = (0...place).filter {
                    range.contains(ReplyKey(client: client, place: $0).hash(with: Self.hashKey))
                }
                #expect(inside == [place])
            }
            node.deposit(to: UInt64(index), by: 1, 1, in: range)
        }
        // The rows are where the partitions are taken out.
        for index in 0..<1 << bits {
            #expect(node.replies.replies.count == 1 << bits - index)
            node.store.remove(.rows(HashRange(partition: index, bits: bits)))
        }
    }

    @Test func `a place of another partition is a mistake`() async {
        await #expect(processExitsWith: .failure) {
            let node = try Node()
            let place = node.replies.place(of: 1, in: HashRange(partition: 0, bits: 1))
            _ = node.replies.perform(
                client: 1, sequence: 1, place: place, at: Timestamp(microseconds: 0),
                in: HashRange(partition: 1, bits: 1), touching: []
            ) { _ in [] }
        }
    }

    @Test func `a store that has another region of the name is refused`() throws {
        let store = Store()
        _ = try store.table(ReplyTable.region, key: UInt64.self, row: Account.self)
        #expect(throws: StoreError(.regionConflict, "")) { try ReplyTable(in: store) }
    }

    @Test func `replies move with the rows that the writes have changed`() throws {
        let bits = 2
        let ranges = (0..<1 << bits).map { HashRange(partition: $0, bits: bits) }
        let (source, target) = try (Node(), Node())
        /// Each client writes to an account of each partition.
        func accounts(of client: UInt64) -> [UInt64] {
            ranges.compactMap { range in
                (client * 1_000..<client * 1_000 + 1_000).first {
                    range.contains($0.hash(with: Self.hashKey))
                }
            }
        }
        let clients = 1...200 as ClosedRange<UInt64>
        for client in clients {
            for (range, account) in zip(ranges, accounts(of: client)) {
                source.deposit(10, to: account, by: client, 1, in: range)
            }
        }
        let part = StorePart.rows(ranges[2])
        let incoming = try IncomingPart(part, into: target.store)
        let first = try OutgoingRound(of: part, in: source.store)
        try Self.send(first, to: incoming)
        // A second write of some, which goes as a delta.
        for client in clients where client % 2 == 0 {
            source.deposit(1, to: accounts(of: client)[2], by: client, 2, in: ranges[2])
        }
        try Self.send(try OutgoingRound(after: first), to: incoming)
        try incoming.adopt()
        source.store.remove(part)
        #expect(target.replies.replies.count == clients.count)
        #expect(source.replies.replies.count == 3 * clients.count)
        for client in clients {
            let account = accounts(of: client)[2]
            let isSecond = client % 2 == 0
            let (sequence, balance): (UInt64, Int64) = isSecond ? (2, 11) : (1, 10)
            // Its reply was lost on the way: it sends the write again, to the new owner.
            #expect(
                target.deposit(1, to: account, by: client, sequence, in: ranges[2])
                    == .repeated(Self.reply(balance)))
            #expect(
                target.deposit(1, to: account, by: client, sequence + 1, in: ranges[2])
                    == .done(Self.reply(balance + 1)))
            #expect(target.accounts[account]?.balance == balance + 1)
            // What has not moved goes on where it is.
            #expect(
                source.deposit(1, to: accounts(of: client)[1], by: client, 1, in: ranges[1])
                    == .repeated(Self.reply(10)))
        }
    }

    static func send(_ round: OutgoingRound, to incoming: IncomingPart) throws {
        try incoming.beginRound(at: round.epoch, from: round.baseEpoch, round.baseDigest)
        while let chunk = try round.next() {
            _ = try unsafe chunk.withUnsafeBytes { try unsafe incoming.apply($0) }
        }
    }

    @Test(arguments: [0, 3, 8])
    func `replies to clients that are silent are removed`(partitionBits: Int) throws {
        let node = try Node(partitionBits: partitionBits)
        for client in 0..<1_000 as Range<UInt64> {
            node.deposit(to: client, by: client, 1, at: Int64(client))
        }
        #expect(node.replies.removeSilent(before: Timestamp(microseconds: 0)) == 0)
        #expect(node.replies.removeSilent(before: Timestamp(microseconds: 700)) == 700)
        #expect(node.replies.replies.count == 300)
        #expect(node.accounts.count == 1_000)
        #expect(node.deposit(to: 700, by: 700, 1) == .repeated(Self.reply(1)))
        // What is documented: it is not known any more.
        #expect(node.deposit(to: 699, by: 699, 1, at: 900) == .done(Self.reply(2)))
        #expect(node.replies.removeSilent(before: Timestamp(microseconds: 1_000)) == 301)
        #expect(node.store.memoryUse.retained == 0)
    }

    @Test func `a client that writes while the silent are removed is not silent`() throws {
        let node = try Node()
        let clients = 0..<200 as Range<UInt64>
        for client in clients { node.deposit(to: client, by: client, 1, at: 0) }
        let hasEnded = Atomic(false)
        let failures = Atomic(0)
        let group = DispatchGroup()
        group.enter()
        let thread = Thread {
            for sequence in 2..<60 as Range<UInt64> {
                for client in clients {
                    // Each write has a time that the sweeper takes for too early a moment later.
                    let time = Int64(sequence) * 10
                    node.deposit(to: client, by: client, sequence, at: time)
                    let again = node.deposit(to: client, by: client, sequence, at: time)
                    if again != .repeated(Self.reply(Int64(sequence))) {
                        failures.add(1, ordering: .relaxed)
                    }
                }
            }
            hasEnded.store(true, ordering: .releasing)
            group.leave()
        }
        thread.start()
        var removed = 0
        while !hasEnded.load(ordering: .acquiring) {
            // Before the first of these writes: only the very first ones are old enough.
            removed += node.replies.removeSilent(before: Timestamp(microseconds: 10))
        }
        group.wait()
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(removed <= clients.count)
        #expect(node.replies.replies.count == clients.count)
    }

    @Test func `a cut has a write's effect and its reply, or neither`() throws {
        let node = try Node()
        let threads = 3
        let clients = 0..<60 as Range<UInt64>
        let running = Atomic(threads)
        let group = DispatchGroup()
        for number in 0..<threads {
            group.enter()
            let thread = Thread {
                for sequence in 1...150 as ClosedRange<UInt64> {
                    for client in clients where Int(client) % threads == number {
                        node.deposit(to: client, by: client, sequence)
                    }
                }
                running.subtract(1, ordering: .releasing)
                group.leave()
            }
            thread.start()
        }
        var seen: Set<Int64> = []
        repeat {
            let snapshot = try node.store.cut().write(to: ByteArraySink()).bytes
            // The other store learns of the regions by the rows, and of their types afterwards.
            let store = Store()
            var restorer = StreamRestorer(into: store)
            try restorer.push(snapshot)
            try restorer.finish()
            let restored = try Node(store)
            var sum: Int64 = 0
            for client in clients {
                let key = ReplyKey(
                    client: client, place: restored.replies.place(of: client, in: .all))
                let reply = restored.replies.replies[key]
                let balance = restored.accounts[client]?.balance
                #expect(reply.map { Int64($0.sequence) } == balance)
                #expect(reply?.reply == balance.map { Self.reply($0) })
                sum += balance ?? 0
            }
            seen.insert(sum)
        } while running.load(ordering: .acquiring) > 0
        group.wait()
        // Else no cut was taken while they wrote.
        #expect(seen.count > 2)
    }
}
