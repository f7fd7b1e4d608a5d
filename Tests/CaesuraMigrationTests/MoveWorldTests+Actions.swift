import CaesuraFormat
import CaesuraMigration
import Testing

/// What is done of what the machines say.
extension MoveWorldTests {
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
            case .prepare: break
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
}
