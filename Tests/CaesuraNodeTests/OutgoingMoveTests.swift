import Caesura
import CaesuraMigration
import CaesuraNode
import Testing

/// What a source sends of the rows of a store.
struct OutgoingMoveTests {
    private static let part = PartitionNumber(index: 0, bits: 0)

    private static func move() throws -> OutgoingMove {
        let store = Store()
        let table = try store.table("accounts", key: UInt64.self, row: Account.self)
        for key in 0..<100 as Range<UInt64> {
            table[key] = Account(balance: Int64(key), name: "", photo: [])
        }
        let plan = SourceMove.Plan(
            partition: part, entry: try OwnerEntry(creating: "a"), target: "b", attempt: 1)
        return OutgoingMove(plan, of: .all, in: store)
    }

    private static func chunks(_ actions: [SourceMove.Action]) -> [[UInt8]] {
        actions.compactMap { action in
            if case .send(.chunk(let bytes)) = action { bytes } else { nil }
        }
    }

    @Test func `a chunk that is encoded before the target has said what it has is sent after that`()
        throws
    {
        let move = try Self.move()
        _ = move.handle(.connected, at: .zero)
        let begun = move.handle(.received(.have(.nothing)), at: .zero)
        let round = try #require(
            begun.lazy.compactMap { action in
                if case .send(.round(let round)) = action { round } else { nil }
            }.first)
        let first = Self.chunks(move.work(at: .zero))
        #expect(first.count == 1)
        // The next one is still to be encoded when another connection comes.
        #expect(move.hasChunks)
        _ = move.handle(.disconnected, at: .zero)
        #expect(move.handle(.connected, at: .zero).count == 1)
        let sentBytes = move.sentBytes
        #expect(Self.chunks(move.work(at: .zero)) == [])
        #expect(move.sentBytes == sentBytes)
        // The target has the first one.
        let part = Holding.Part(
            round: 1, epoch: round.epoch, chunks: 1, bytes: UInt64(first[0].count))
        let again = Self.chunks(move.handle(.received(.have(.part(part))), at: .zero))
        #expect(again.count == 1 && again != first)
        #expect(move.sentBytes == sentBytes + UInt64(again.reduce(0) { $0 + $1.count }))
        while move.hasChunks {
            #expect(Self.chunks(move.work(at: .zero)).count == 1)
        }
    }

    @Test func `to a target that has nothing any more all is sent anew`() throws {
        let move = try Self.move()
        _ = move.handle(.connected, at: .zero)
        _ = move.handle(.received(.have(.nothing)), at: .zero)
        let first = Self.chunks(move.work(at: .zero))
        _ = move.handle(.disconnected, at: .zero)
        _ = move.handle(.connected, at: .zero)
        #expect(Self.chunks(move.work(at: .zero)) == [])
        let begun = move.handle(.received(.have(.nothing)), at: .zero)
        #expect(Self.chunks(begun) == [])
        let anew = Self.chunks(move.work(at: .zero))
        #expect(anew.count == 1 && anew[0].count == first[0].count)
    }
}
