import CaesuraFormat
import Synchronization
import Testing

@testable import Caesura

/// Parts that come and go while others write, cut and follow.
struct StorePartConcurrencyTests {
    @Test func `others write, cut and follow while a part comes and goes`() throws {
        let keys: UInt64 = 2_000
        let part = StorePart.rows(HashRange(partition: 1, bits: 2))
        let source = try StorePartTests.Node(bits: 3, epochs: 50)
        let node = try StorePartTests.Node(bits: 3)
        let inside = (0..<keys).filter { part.range.contains($0.hash(with: StorePartTests.key)) }
        let outside = (0..<keys).filter { !part.range.contains($0.hash(with: StorePartTests.key)) }
        for key in 0..<keys {
            (inside.contains(key) ? source : node).rich[key] = RichRow(count: 1)
        }
        // Used by one thread at a time.
        nonisolated(unsafe) let followed = try FollowedTable(node.store, node.rich)
        let isDone = Atomic(false)
        let written = Atomic<UInt64>(0)
        try onThreads(
            {
                var random = StorePartTests.Random(state: 1)
                while !isDone.load(ordering: .acquiring) {
                    let key = outside[Int.random(in: 0..<outside.count, using: &random)]
                    node.rich.update(key) { $0.count += 1 }
                    written.add(1, ordering: .relaxed)
                    // Of a partition that may be there or not.
                    _ = node.rich[inside[Int.random(in: 0..<inside.count, using: &random)]]
                }
            },
            {
                while !isDone.load(ordering: .acquiring) {
                    let cut = node.store.cut()
                    // All of the part, or nothing.
                    var count = 0
                    try cut.forEach(in: node.rich) { key, _ in
                        if part.range.contains(key.hash(with: StorePartTests.key)) { count += 1 }
                    }
                    #expect(count == 0 || count == inside.count)
                    cut.close()
                }
            },
            {
                defer { isDone.store(true, ordering: .releasing) }
                for _ in 0..<30 {
                    let incoming = try IncomingPart(part, into: node.store)
                    let first = try OutgoingRound(of: part, in: source.store)
                    try StorePartTests.send(first, to: incoming)
                    source.rich.update(inside[0]) { $0.count += 1 }
                    let second = try OutgoingRound(after: first)
                    try StorePartTests.send(second, to: incoming)
                    try incoming.adopt()
                    try unsafe followed.apply(followed.delta())
                    node.store.remove(part)
                    if Bool.random() { try unsafe followed.apply(followed.delta()) }
                }
            })
        try unsafe followed.apply(followed.delta())
        try unsafe followed.expectSameSnapshots()
        #expect(node.rich.count == outside.count)
        #expect(written.load(ordering: .relaxed) > 0)
    }
}
