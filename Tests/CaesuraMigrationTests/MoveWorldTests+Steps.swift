import CaesuraFormat
import CaesuraMigration
import Testing

/// What may happen next in a world, and what must not be true of it.
extension MoveWorldTests {
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
}
