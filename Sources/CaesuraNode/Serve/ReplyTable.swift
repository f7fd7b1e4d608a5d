public import Caesura
public import CaesuraFormat

/// The last reply to each client, which moves with the rows that the client's writes change: `docs/MIGRATION.md` section 5.
///
///     let place = replies.place(of: client, in: range)        // kept as long as the client is
///     let outcome = replies.perform(
///         client: client, sequence: request.sequence, place: place, at: .now, in: range,
///         touching: [accounts.row(id)]
///     ) { transaction in
///         transaction.update(accounts, id) { $0.balance += 1 }
///         return [1]
///     }
///
/// A client numbers its writes ascending, and sends the next once it has the reply to the last one. A write that it sends again,
/// because no reply came, gets the reply of the first time, wherever the rows are by then.
///
/// The replies are rows of a table like any other, `caesura.replies`: they are in cuts, checkpoints, deltas and moves
/// with all else, and tools print them from their schema. A client has one in each partition that it writes to. What a write
/// gets as its reply is kept even if nobody gets it; what it *throws* is not: nothing is, and the next try runs anew.
public struct ReplyTable: Sendable {
    /// What became of a write.
    public enum Outcome: Hashable, Sendable {
        /// It was done, and this is its reply.
        case done([UInt8])
        /// It was done before, with this reply; nothing was done now.
        case repeated([UInt8])
        /// A later one of the client was done before; nothing was done now, and of the reply nothing is known any more.
        case tooOld
        /// Its reply has more than ``ReplyTable/replyLimit`` bytes: so many. What it did was put back.
        case tooLong(Int)
    }

    /// The most bytes that a reply has.
    ///
    /// As much as lies in a page beside its row.
    public static let replyLimit = 1_024
    /// The name of the table's region.
    public static let region = "caesura.replies"

    let replies: Table<ReplyKey, Reply>
    private let store: Store

    /// The rows that are removed while their partition's lock is held once: a few 10 us.
    private static let batchSize = 32

    /// The reply table of a store, created if it has none.
    ///
    /// - Throws: `regionConflict` when the store has another region of that name.
    public init(in store: Store) throws(StoreError) {
        self.store = store
        replies = try store.table(Self.region, key: ReplyKey.self, row: Reply.self)
    }

    /// The smallest number with which a client's row lies in a partition.
    ///
    /// It is the same on all nodes, for they have the same hash key. Keep it as long as the client is there.
    ///
    /// - Parameters:
    ///   - client: The client.
    ///   - range: The hashes of the partition's rows: one of 2^b ranges, b at most 16.
    /// - Complexity: 2^b hashes are expected, of some 10 ns each; one client in 150 takes more than five times as many.
    public func place(of client: UInt64, in range: HashRange) -> UInt32 {
        precondition(range.prefixBits <= 16, "a node has at most 65,536 partitions")
        let hashKey = store.hashKey
        for place in 0...UInt32.max
        where range.contains(ReplyKey(client: client, place: place).hash(with: hashKey)) {
            return place
        }
        preconditionFailure("one of 2 to the power 32 hashes is in a range of 2 to the power 48")
    }

    /// Names the row of a client's reply, for ``PartitionGate``: ``perform(client:sequence:place:at:in:touching:staging:_:)``
    /// touches it besides the rows that it is given.
    public func row(of client: UInt64, place: UInt32) -> RowReference {
        replies.row(ReplyKey(client: client, place: place))
    }

    /// Does a client's write and keeps its reply, as one change: a cut has both or neither.
    ///
    /// Not for a partition that another node serves, or that does not take writes now: see ``PartitionGate``.
    ///
    /// - Parameters:
    ///   - client: Who sent the write.
    ///   - sequence: Its number among the writes of the client.
    ///   - place: What ``place(of:in:)`` returns for the client and the partition.
    ///   - time: When the client was last heard of: now.
    ///   - range: The hashes of the partition's rows.
    ///   - rows: All rows that `body` touches, of this partition.
    ///   - values: Large values that `body` will set; see ``Store/transaction(_:staging:body:)``.
    ///   - body: Does the write and returns its reply. It runs as the body of ``Store/transaction(_:staging:body:)``.
    /// - Precondition: The row of `place` is in the partition.
    /// - Complexity: As a transaction over `rows` and one row more, of which up to 1 KiB is copied.
    /// - Throws: What `body` throws; what it did was put back, and no reply is kept.
    public func perform<Failure: Error>(
        client: UInt64, sequence: UInt64, place: UInt32, at time: Timestamp, in range: HashRange,
        touching rows: [RowReference], staging values: [any FieldValue] = [],
        _ body: (borrowing Transaction) throws(Failure) -> [UInt8]
    ) throws(Failure) -> Outcome {
        let key = ReplyKey(client: client, place: place)
        precondition(
            range.contains(key.hash(with: store.hashKey)),
            "place \(place) of a client is not in the partition: it is of another one, or of another hash key"
        )
        do throws(Undoing<Failure>) {
            return try store.transaction([replies.row(key)] + rows, staging: values) {
                (transaction) throws(Undoing<Failure>) in
                let last = transaction.read(replies, key) { row in
                    (sequence: row.sequence, reply: row.sequence == sequence ? row.reply : [])
                }
                if let last, last.sequence >= sequence {
                    return last.sequence == sequence ? .repeated(last.reply) : .tooOld
                }
                let reply: [UInt8]
                do throws(Failure) {
                    reply = try body(transaction)
                } catch {
                    throw .failed(error)
                }
                guard reply.count <= Self.replyLimit else { throw .tooLong(reply.count) }
                transaction[replies, key] = Reply(sequence: sequence, reply: reply, time: time)
                return .done(reply)
            }
        } catch {
            switch error {
            case .failed(let failure): throw failure
            case .tooLong(let byteCount): return .tooLong(byteCount)
            }
        }
    }

    /// Removes the replies to clients whose last write is older than a retry can be.
    ///
    /// A client that sends its last write again after that has it done again. It does no harm to a partition whose writes have
    /// stopped or that another node serves: what is removed there is needed nowhere.
    ///
    /// - Parameter time: Clients whose last write came before it are removed.
    /// - Complexity: O(replies) beside writers, for which a cut is taken, and 16 bytes of memory for each row that goes; then
    ///   a few 10 us at a time during which writers of one of the store's partitions wait. If the store cancels the cut, because
    ///   it keeps too much memory, what has not been looked at stays until the next time.
    /// - Returns: How many were removed.
    @discardableResult public func removeSilent(before time: Timestamp) -> Int {
        var silent: [ReplyKey] = []
        let cut = store.cut()
        try? cut.forEach(in: replies) { key, row in
            if row.time < time { silent.append(key) }
        }
        cut.close()
        let hashKey = store.hashKey
        func partition(of key: ReplyKey) -> UInt64 {
            key.hash(with: hashKey) >> (64 - store.partitionBits)
        }
        var removed = 0
        var rest = silent[...]
        while let first = rest.first {
            // They come in the order of their hashes.
            let batch = rest.prefix(Self.batchSize)
                .prefix { partition(of: $0) == partition(of: first) }
            rest = rest[batch.endIndex...]
            removed += remove(batch, before: time)
        }
        return removed
    }

    /// Removes those of some replies that are still older, as one change.
    private func remove(_ keys: ArraySlice<ReplyKey>, before time: Timestamp) -> Int {
        store.transaction(keys.map { replies.row($0) }) { transaction in
            var removed = 0
            for key in keys {
                guard let last = transaction.read(replies, key, { $0.time }), last < time
                else { continue }
                transaction.remove(replies, key)
                removed += 1
            }
            return removed
        }
    }
}

/// Whose reply a row is, and a number by which it lies in a partition.
@Schema("reply_key")
struct ReplyKey: TableKey {
    @Field(1) var client: UInt64
    @Field(2) var place: UInt32
}

/// The last reply to a client.
@Schema("reply")
struct Reply: Hashable {
    /// The number of the write among the client's.
    @Field(1) var sequence: UInt64
    /// What was answered.
    @Field(2, .sensitive) var reply: [UInt8]
    /// When the write came.
    @Field(3) var time: Timestamp
}

/// Why a transaction is put back.
private enum Undoing<Failure: Error>: Error {
    case failed(Failure)
    case tooLong(Int)
}
