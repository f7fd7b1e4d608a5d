import CaesuraMigration
import Testing

/// Which moves begin when.
@Suite struct MoveScheduleTests {
    private typealias Move = RebalancingPlan.Move

    private static func moves(
        _ count: UInt64, from source: String, to target: String, beginningWith first: UInt64 = 0
    ) -> [RebalancingPlan.Move] {
        (first..<first + count).map {
            Move(PartitionNumber(rawValue: $0), from: source, to: target)
        }
    }

    @Test func `sources and targets take turns, within the limit`() {
        var schedule = MoveSchedule(
            Self.moves(3, from: "a", to: "c") + Self.moves(3, from: "a", to: "d", beginningWith: 3)
                + Self.moves(3, from: "b", to: "c", beginningWith: 6), atOnce: 4)
        var begun: [RebalancingPlan.Move] = []
        while let move = schedule.next() { begun.append(move) }
        #expect(begun.map(\.source) == ["a", "b", "a", "b"])
        #expect(begun.map(\.target) == ["c", "c", "d", "c"])
        #expect(begun.map(\.partition.rawValue) == [0, 6, 3, 7])
        #expect(schedule.ongoing.map(\.partition.rawValue) == [0, 3, 6, 7])
        schedule.end(begun[0])
        // It is not under way any more.
        schedule.end(begun[0])
        #expect(schedule.next()?.partition.rawValue == 4)
        #expect(schedule.next() == nil)
    }

    @Test func `a node gets no more at once than it takes`() {
        let moves =
            Self.moves(20, from: "a", to: "b")
            + Self.moves(1, from: "a", to: "c", beginningWith: 20)
        var schedule = MoveSchedule(moves, atOnce: 30)
        var begun: [RebalancingPlan.Move] = []
        while let move = schedule.next() { begun.append(move) }
        #expect(begun.count { $0.target == "b" } == MoveSchedule.incomingLimit)
        #expect(begun.count { $0.target == "c" } == 1)
    }

    @Test func `all moves begin once, whatever ends first`() {
        let seed = UInt64.random(in: 0 ... .max)
        print("schedules from seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<50 {
            let moves = (0..<UInt64.random(in: 0...60, using: &random)).map { number in
                Move(
                    PartitionNumber(rawValue: number),
                    from: "s\(Int.random(in: 0..<4, using: &random))",
                    to: "t\(Int.random(in: 0..<4, using: &random))")
            }
            let (atOnce, perTarget) = (
                Int.random(in: 1...8, using: &random), Int.random(in: 1...4, using: &random)
            )
            var schedule = MoveSchedule(moves, atOnce: atOnce, perTarget: perTarget)
            var begun: [RebalancingPlan.Move] = []
            while !schedule.isDone {
                while let move = schedule.next() { begun.append(move) }
                let ongoing = schedule.ongoing
                #expect(ongoing.count <= atOnce, "seed \(seed)")
                for target in Set(ongoing.map(\.target)) {
                    #expect(ongoing.count { $0.target == target } <= perTarget, "seed \(seed)")
                }
                guard let ended = ongoing.randomElement(using: &random) else { break }
                schedule.end(ended)
            }
            #expect(schedule.isDone, "seed \(seed)")
            #expect(begun.count == moves.count && Set(begun) == Set(moves), "seed \(seed)")
        }
    }

    @Test func `what has not begun can be given up, of one source or of all`() {
        var schedule = MoveSchedule(
            Self.moves(3, from: "a", to: "c") + Self.moves(3, from: "b", to: "c", beginningWith: 3),
            atOnce: 2)
        let begun = (0..<2).compactMap { _ in schedule.next() }
        #expect(schedule.abandon(from: "a").map(\.partition.rawValue) == [1, 2])
        #expect(schedule.abandon(from: "a") == [])
        #expect(schedule.abandon().map(\.partition.rawValue) == [4, 5])
        #expect(!schedule.isDone && schedule.ongoing == begun)
        for move in begun { schedule.end(move) }
        #expect(schedule.isDone)
    }
}
