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

    // MARK: Carrying out

    static func carryOut(_ actions: [SourceMove.Action], _ world: inout World) {
        for action in actions {
            guard world.source != nil else { return }
            switch action {
            case .connect: world.wantsConnection = true
            case .send(let message): if world.isConnected { world.toTarget.append(message) }
            case .beginRound(let kind):
                let isFirst = kind == .snapshot
                world.kept = []
                world.acknowledgedChunks = 0
                world.hasSlices = kind == .slices
                world.sliceHasEnded = false
                let base = world.epoch
                world.epoch += 1
                world.roundRows = world.sourceRows ?? -1
                // The digest of a state is its epoch here.
                handle(
                    .roundBegan(
                        epoch: world.epoch, baseEpoch: isFirst ? 0 : base,
                        baseDigest: isFirst ? 0 : base,
                        missing: world.hasSlices ? [.all] : []), &world)
            case .demand: break
            case .encode where world.hasSlices: encodeSlices(&world)
            case .encode:
                let chunk = MigrationMessage.chunk([
                    UInt8(bitPattern: Int8(world.roundRows)), UInt8(world.epoch),
                ])
                world.kept.append(chunk)
                if world.isConnected { world.toTarget.append(chunk) }
                handle(.encoded(byteCount: 2, digest: world.epoch), &world)
            case .acknowledge(let chunks):
                world.kept.removeFirst(Int(chunks - world.acknowledgedChunks))
                world.acknowledgedChunks = chunks
            case .resend:
                if world.sliceHasEnded, world.acknowledgedChunks == 1 {
                    world.toTarget.append(sliceEnd)
                }
                for (index, chunk) in world.kept.enumerated() {
                    world.toTarget.append(chunk)
                    if world.sliceHasEnded, world.acknowledgedChunks == 0, index == 0 {
                        world.toTarget.append(sliceEnd)
                    }
                }
            case .audit: world.sourceAudits = world.epoch
            case .seal:
                if world.bug != .doesNotSeal { world.sourceServes = nil }
                handle(.sealed, &world)
            case .slow: break
            case .append(let entry):
                if world.bug == .servesUnasked { world.sourceServes = entry }
                world.appends.append(.init(entry: entry, by: .source))
            case .serve(let entry): world.sourceServes = entry
            case .forward: if world.bug == .removesAtOnce { world.sourceRows = nil }
            case .remove: world.sourceRows = nil
            case .wait(let time): world.sourceTimer = time != nil
            case .end(let outcome):
                world.source = nil
                world.wantsConnection = false
                world.sourceAudits = nil
                if case .overtaken = outcome { world.sourceServes = nil }
            }
        }
    }

    /// All rows.
    static let sliceEnd = MigrationMessage.sliceEnd(SliceEnd(slice: .all, chunks: 1))

    /// Encodes the rows, or else the end of their slice and that of the round.
    static func encodeSlices(_ world: inout World) {
        let isFirst = world.acknowledgedChunks + UInt64(world.kept.count) == 0
        if !isFirst {
            world.sliceHasEnded = true
            if world.isConnected { world.toTarget.append(sliceEnd) }
        }
        let chunk = MigrationMessage.chunk([
            UInt8(bitPattern: Int8(world.roundRows)), isFirst ? 0 : UInt8(world.epoch),
        ])
        world.kept.append(chunk)
        if world.isConnected { world.toTarget.append(chunk) }
        handle(.encoded(byteCount: 2, digest: isFirst ? nil : world.epoch), &world)
    }

    static func handle(_ event: SourceMove.Event, _ world: inout World) {
        guard let actions = world.source?.handle(event, at: .milliseconds(world.epoch)) else {
            return
        }
        carryOut(actions, &world)
    }

    static func carryOut(
        _ actions: [TargetMove.Action], chunk: [UInt8]? = nil, _ world: inout World
    ) {
        for action in actions {
            guard world.target != nil else { return }
            switch action {
            case .send(let message): if world.isConnected { world.toSource.append(message) }
            case .beginRound: break
            case .apply:
                guard let chunk else { preconditionFailure("a chunk has come") }
                world.staged = Int(Int8(bitPattern: chunk[0]))
                handle(
                    .applied(byteCount: 2, digest: chunk[1] == 0 ? nil : UInt64(chunk[1])),
                    &world)
            case .audit: world.targetAudits = world.epoch
            case .adopt:
                world.targetRows = world.staged
                world.staged = nil
                handle(.adopted, &world)
            case .adoptExcept: handle(.adopted, &world)
            case .adoptSlice: world.targetRows = world.staged
            case .append(let entry): world.appends.append(.init(entry: entry, by: .target))
            case .serveExcept(let entry, _):
                world.targetServes = entry
                world.targetLacksRows = world.bug != .opensAtOnce
                world.targetHasAll = false
            case .open: world.targetLacksRows = false
            case .complete: world.targetHasAll = true
            case .reconnect: disconnect(&world)
            case .serve(let entry):
                world.targetServes = entry
                world.targetHasAll = true
                if world.bug == .claimsDurability { handle(.durable, &world) }
            case .drop:
                world.staged = nil
                world.targetRows = nil
            case .wait(let time): world.targetTimer = time != nil
            case .end(let outcome):
                world.target = nil
                world.targetAudits = nil
                guard case .incomplete = outcome else { break }
                world.targetServes = nil
                world.targetLacksRows = false
                world.targetRows = nil
                world.staged = nil
            }
        }
    }

    static func handle(
        _ event: TargetMove.Event, chunk: [UInt8]? = nil, _ world: inout World
    ) {
        guard let actions = world.target?.handle(event) else { return }
        carryOut(actions, chunk: chunk, &world)
    }

    /// What a node does with a message of a move that it has no machine for.
    static func receiveAnew(_ message: MigrationMessage, _ world: inout World) {
        guard case .move(let request) = message else { return }
        let last = world.last
        if last.owner == "target", world.targetRows != nil {
            world.toSource.append(.have(.owns(last)))
            if world.targetIsDurable { world.toSource.append(.durable(last)) }
        } else if last == request.entry || last.owner == "target" && request.purpose == .recovery {
            let target = TargetMove(request, node: "target")
            world.target = target
            carryOut(target.firstActions, &world)
        } else {
            world.toSource.append(.giveUp(MigrationProblem(.notOwner, "another entry counts")))
        }
    }

    static func disconnect(_ world: inout World) {
        guard world.isConnected else { return }
        world.isConnected = false
        world.toSource = []
        world.toTarget = []
        handle(SourceMove.Event.disconnected, &world)
        handle(TargetMove.Event.disconnected, &world)
    }

    /// What a node does when it starts.
    static func returnSource(_ world: inout World) {
        if world.last.owner == "source" {
            if world.bug == .returnsByReading { return world.sourceServes = world.last }
            world.appends.append(
                .init(
                    entry: World.entry { () throws(OwnerRegisterError) in
                        try OwnerEntry(.abort, of: world.last, to: "source")
                    },
                    by: .sourceReturn))
        } else if world.sourceRows != nil, world.source == nil {
            begin(&world, lettingGo: world.last)
        }
    }

    static func returnTarget(_ world: inout World) {
        // Without rows it waits for a recovery.
        guard world.last.owner == "target", world.targetRows != nil else { return }
        world.appends.append(
            .init(
                entry: World.entry { () throws(OwnerRegisterError) in
                    try OwnerEntry(.abort, of: world.last, to: "target")
                }, by: .targetReturn)
        )
    }

    static func begin(_ world: inout World, lettingGo entry: OwnerEntry? = nil) {
        world.attempts += 1
        let plan = SourceMove.Plan(
            partition: World.partition, entry: entry ?? world.sourceServes ?? World.first,
            target: "target", attempt: world.attempts,
            budget: world.isPostcopy ? .zero : .milliseconds(1),
            policy: world.isPostcopy ? .postcopy : .fail)
        let move = entry.map { SourceMove(plan, lettingGo: $0) } ?? SourceMove(plan)
        world.source = move
        carryOut(move.firstActions, &world)
    }

    // MARK: Steps

    /// The worlds that may come next, each with what has happened.
    static func next(_ world: World) -> [(String, World)] {
        var worlds: [(String, World)] = []
        func step(_ name: String, if isPossible: Bool = true, _ body: (inout World) -> Void) {
            guard isPossible else { return }
            var next = world
            body(&next)
            worlds.append((name, next))
        }
        step(
            "connect",
            if: world.wantsConnection && !world.isConnected && !world.targetIsDown
                && !world.sourceIsDown
        ) {
            $0.isConnected = true
            $0.wantsConnection = false
            handle(SourceMove.Event.connected, &$0)
        }
        step("to the target", if: !world.toTarget.isEmpty) {
            let message = $0.toTarget.removeFirst()
            if $0.target == nil { return receiveAnew(message, &$0) }
            var chunk: [UInt8]?
            if case .chunk(let bytes) = message { chunk = bytes }
            handle(TargetMove.Event.received(message), chunk: chunk, &$0)
            // A move that was dropped for another.
            if $0.target == nil, case .move = message { receiveAnew(message, &$0) }
        }
        step("to the source", if: !world.toSource.isEmpty) {
            handle(SourceMove.Event.received($0.toSource.removeFirst()), &$0)
        }
        step("source audits", if: world.sourceAudits != nil) {
            $0.sourceAudits = nil
            handle(SourceMove.Event.audited(Audit(epoch: 1, digest: 1, rows: 1)), &$0)
        }
        step("target audits", if: world.targetAudits != nil) {
            $0.targetAudits = nil
            handle(TargetMove.Event.audited(Audit(epoch: 1, digest: 1, rows: 1)), &$0)
        }
        for index in world.appends.indices {
            let append = world.appends[index]
            step("\(append.by) appends \(append.entry.fencingEpoch)") {
                $0.appends.remove(at: index)
                land(append, &$0)
            }
            step(
                "\(append.by) does not learn of \(append.entry.fencingEpoch)",
                if: append.by != .nobody && world.unknownsLeft > 0
            ) {
                $0.unknownsLeft -= 1
                $0.appends[index].by = .nobody
                tell(append, nil, &$0)
            }
            step("\(append.entry.fencingEpoch) gets lost", if: append.by == .nobody) {
                $0.appends.remove(at: index)
            }
        }
        // Timers that only try again, and those that give up.
        let isTryingAgain =
            switch world.source?.state {
            case .aborting, .lettingGo: true
            default: false
            }
        step(
            "source times out",
            if: world.sourceTimer && (isTryingAgain || world.timeoutsLeft > 0)
        ) {
            $0.sourceTimer = false
            if !isTryingAgain { $0.timeoutsLeft -= 1 }
            handle(SourceMove.Event.timedOut, &$0)
        }
        step("target times out", if: world.targetTimer) {
            $0.targetTimer = false
            handle(TargetMove.Event.timedOut, &$0)
        }
        step(
            "target has a checkpoint",
            if: world.targetServes != nil && world.targetHasAll && !world.targetIsDurable
        ) {
            $0.targetIsDurable = true
            handle(.durable, &$0)
        }
        // A write is acknowledged once it is durable.
        step("source writes", if: world.sourceServes != nil && world.writesLeft > 0) {
            $0.writesLeft -= 1
            $0.sourceRows = ($0.sourceRows ?? -100) + 1
            $0.acknowledged += 1
        }
        step(
            "target writes",
            if: world.targetServes != nil && world.targetIsDurable && world.writesLeft > 0
        ) {
            $0.writesLeft -= 1
            $0.targetRows = ($0.targetRows ?? -100) + 1
            $0.acknowledged += 1
        }
        step(
            "source begins a move",
            if: world.sourceServes != nil && world.source == nil && world.attemptsLeft > 0
        ) {
            $0.attemptsLeft -= 1
            begin(&$0)
        }
        step("connection is lost", if: world.isConnected && world.lossesLeft > 0) {
            $0.lossesLeft -= 1
            disconnect(&$0)
        }
        step("source gives up", if: world.source != nil && world.timeoutsLeft > 0) {
            $0.timeoutsLeft -= 1
            handle(.stop(MigrationProblem(.stopped, "")), &$0)
        }
        step("target gives up", if: world.target != nil && world.timeoutsLeft > 0) {
            $0.timeoutsLeft -= 1
            handle(TargetMove.Event.stop(MigrationProblem(.stopped, "")), &$0)
        }
        step("a chunk is damaged", if: world.timeoutsLeft > 0 && isPulling(world)) {
            $0.timeoutsLeft -= 1
            $0.toTarget.removeFirst()
            handle(TargetMove.Event.stop(MigrationProblem(.damaged, "")), &$0)
        }
        step("source crashes", if: !world.sourceIsDown && world.crashesLeft > 0) {
            $0.crashesLeft -= 1
            $0.source = nil
            $0.sourceServes = nil
            $0.sourceIsDown = true
            $0.wantsConnection = false
            $0.kept = []
            $0.sourceAudits = nil
            $0.sourceTimer = false
            for index in $0.appends.indices
            where [.source, .sourceReturn].contains($0.appends[index].by) {
                $0.appends[index].by = .nobody
            }
            disconnect(&$0)
        }
        step("source starts", if: world.sourceIsDown) {
            $0.sourceIsDown = false
            returnSource(&$0)
        }
        step("target crashes", if: !world.targetIsDown && world.crashesLeft > 0) {
            $0.crashesLeft -= 1
            $0.target = nil
            $0.targetServes = nil
            $0.targetIsDown = true
            $0.staged = nil
            if !$0.targetIsDurable { $0.targetRows = nil }
            $0.targetLacksRows = false
            $0.targetAudits = nil
            $0.targetTimer = false
            for index in $0.appends.indices
            where [.target, .targetReturn].contains($0.appends[index].by) {
                $0.appends[index].by = .nobody
            }
            disconnect(&$0)
        }
        step("target starts", if: world.targetIsDown) {
            $0.targetIsDown = false
            returnTarget(&$0)
        }
        return worlds
    }

    /// Whether a chunk is about to come to a target that owns the partition.
    static func isPulling(_ world: World) -> Bool {
        guard case .pulling = world.target?.state, case .chunk = world.toTarget.first else {
            return false
        }
        return true
    }

    static func land(_ append: World.Append, _ world: inout World) {
        if append.entry.number == world.last.number + 1 {
            world.entries.append(append.entry)
            tell(append, .appended, &world)
        } else {
            tell(append, .refused(world.last), &world)
        }
    }

    static func tell(_ append: World.Append, _ outcome: OwnerAppending?, _ world: inout World) {
        switch append.by {
        case .nobody: break
        case .source: handle(SourceMove.Event.appended(outcome), &world)
        case .target: handle(TargetMove.Event.appended(outcome), &world)
        case .sourceReturn:
            if outcome == .appended {
                world.sourceServes = append.entry
            } else {
                returnSource(&world)
            }
        case .targetReturn:
            if outcome == .appended {
                world.targetServes = append.entry
            } else {
                returnTarget(&world)
            }
        }
    }

    /// What is wrong with a world; nil for nothing.
    static func violation(_ world: World) -> String? {
        if world.sourceServes != nil, world.targetServes != nil { return "both serve" }
        if world.sourceServes != nil, world.sourceRows != world.acknowledged {
            return "the source serves without a write that was acknowledged"
        }
        if world.targetServes != nil, !world.targetLacksRows,
            world.targetRows != world.acknowledged
        {
            return "the target serves without a write that was acknowledged"
        }
        return nil
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
