import CaesuraFormat
import CaesuraMigration
import Testing

/// Both machines of a move, the register and two nodes in a small world, of which every order of events is looked at.
///
/// Rows are a count: how many writes they have in them. Whoever serves must have all that were acknowledged, and nobody
/// else may serve. Each node has a repository, so that what it has acknowledged survives a crash; the target has no
/// checkpoint of the rows before it has been told that it has one.
///
/// Where rows come after ownership, all are in one slice.
struct MoveWorldTests {
    struct World: Hashable {
        struct Append: Hashable {
            var entry: OwnerEntry
            var by: Asker
        }
        /// Who waits for the outcome of an append; nobody, once it was told that the outcome is not known, or has crashed.
        enum Asker: Hashable { case source, target, sourceReturn, targetReturn, nobody }

        /// What is done otherwise than the machines say, to see that it is noticed.
        enum Bug: Hashable, CaseIterable {
            /// The source serves again on a timer, without an entry of its own.
            case servesUnasked
            /// A node that starts goes by the entry that it reads.
            case returnsByReading
            /// The source takes the rows out as soon as the target owns them.
            case removesAtOnce
            /// The target says that it has a checkpoint when it has none.
            case claimsDurability
            /// The source goes on serving while the last round is sent.
            case doesNotSeal
            /// The target serves rows that are still to come.
            case opensAtOnce
        }

        var bug: Bug?
        /// Whether the target owns the partition before the last round has gone.
        var isPostcopy = false
        var source: SourceMove?
        var target: TargetMove?
        var entries = [World.first]
        var appends: [Append] = []
        var toTarget: [MigrationMessage] = []
        var toSource: [MigrationMessage] = []
        var isConnected = false
        var wantsConnection = false
        var sourceServes: OwnerEntry? = World.first
        var targetServes: OwnerEntry?
        var sourceIsDown = false
        var targetIsDown = false
        /// Writes in the rows that a node has; nil when it has none.
        var sourceRows: Int? = 0
        var targetRows: Int?
        /// Writes in the round under way, and in what has come.
        var roundRows = 0
        var staged: Int?
        var targetIsDurable = false
        var kept: [MigrationMessage] = []
        /// Chunks of the round that are acknowledged.
        var acknowledgedChunks: UInt64 = 0
        /// Whether the round goes slice by slice, and whether the slice has ended.
        var hasSlices = false
        var sliceHasEnded = false
        /// Whether rows that the target serves are still to come.
        var targetLacksRows = false
        /// Whether it may have a checkpoint of them.
        var targetHasAll = false
        var epoch: UInt64 = 1
        var sourceAudits: UInt64?
        var targetAudits: UInt64?
        var sourceTimer = false
        var targetTimer = false
        var acknowledged = 0
        var attempts: UInt64 = 0
        // What may still happen.
        var crashesLeft: Int
        var lossesLeft: Int
        var unknownsLeft: Int
        var writesLeft: Int
        var attemptsLeft: Int
        var timeoutsLeft: Int

        static let first = entry { () throws(OwnerRegisterError) in
            try OwnerEntry(creating: "source")
        }
        static let partition = PartitionNumber(index: 0, bits: 0)

        static func entry(
            _ body: () throws(OwnerRegisterError) -> OwnerEntry
        ) -> OwnerEntry {
            guard let entry = try? body() else { preconditionFailure("names are short") }
            return entry
        }

        var last: OwnerEntry { entries[entries.count - 1] }
    }

    /// Looks at all worlds that can be reached, and gives how many there are.
    static func explore(
        _ first: World, bound: Int, _ expectation: (World) -> String? = violation
    ) -> (count: Int, moved: Int, problem: String?) {
        var moved = 0
        var order = [first]
        var origins: [World: (from: Int, step: String)] = [first: (-1, "")]
        var done = 0
        func history(_ world: World) -> String {
            var steps: [String] = []
            var world = world
            while let (from, step) = origins[world], from >= 0 {
                steps.append(step)
                world = order[from]
            }
            return steps.reversed().joined(separator: "\n")
        }
        while done < order.count {
            let world = order[done]
            let following = next(world)
            if following.isEmpty || following.allSatisfy({ $0.1 == world }) {
                if world.sourceServes == nil, world.targetServes == nil {
                    return (order.count, moved, "nobody serves at the end:\n" + history(world))
                }
                if world.targetServes != nil, world.targetLacksRows {
                    return (order.count, moved, "rows never come:\n" + history(world))
                }
                if world.targetServes != nil { moved += 1 }
                if world.targetServes != nil, world.sourceRows != nil {
                    return (
                        order.count, moved, "the source keeps the rows for ever:\n" + history(world)
                    )
                }
            }
            for (name, next) in following where origins[next] == nil {
                origins[next] = (done, name)
                order.append(next)
                if let problem = expectation(next) {
                    return (order.count, moved, problem + ":\n" + history(next))
                }
                if order.count >= bound { return (order.count, moved, "more worlds than \(bound)") }
            }
            done += 1
        }
        return (order.count, moved, nil)
    }

    /// Crashes, lost connections, outcomes of appends that are not known, time outs and giving up, writes, moves.
    static let worlds: [World] = [false, true].flatMap { isPostcopy in
        [
            (0, 0, 0, 0, 3, 2), (0, 2, 0, 2, 1, 2), (1, 1, 1, 1, 1, 1), (2, 0, 1, 0, 1, 1),
            (2, 1, 0, 1, 1, 1), (1, 0, 2, 1, 1, 2), (3, 0, 0, 0, 1, 1),
        ].map { crashes, losses, unknowns, timeouts, writes, attempts in
            World(
                isPostcopy: isPostcopy, crashesLeft: crashes, lossesLeft: losses,
                unknownsLeft: unknowns, writesLeft: writes, attemptsLeft: attempts,
                timeoutsLeft: timeouts)
        }
    }

    @Test(arguments: worlds)
    func `in no order of events do two serve, is a write lost, or does it get stuck`(
        world: World
    ) {
        let (count, moved, problem) = Self.explore(world, bound: 3_000_000)
        print("\(count) worlds, \(moved) ends in which the partition has moved")
        #expect(moved > 0)
        if let problem { Issue.record("\(problem)") }
    }

    @Test(arguments: World.Bug.allCases)
    func `what is done otherwise than the machines say is found`(bug: World.Bug) {
        let problems = Self.worlds.lazy.compactMap { world in
            var world = world
            world.bug = bug
            return Self.explore(world, bound: 3_000_000).problem
        }
        #expect(problems.first != nil)
    }
}
