import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import CaesuraRepository

/// Processes, and what their nodes want done.
extension Simulation {
    /// After how long a process is started again that could not start.
    private static let startPause = Duration.milliseconds(500)

    func name(_ index: Int) -> String { "node-\(index)" }

    /// Starts a process of a node, from its newest checkpoint.
    func start(_ index: Int) throws {
        guard processes[index] == nil else { return }
        lastNumber += 1
        var configuration = Node.Configuration(
            name: name(index), moveBits: plan.moveBits, createsPartitions: index == 0)
        configuration.window = 60_000
        if work.below(3) == 0 { configuration.bytesPerSecond = 2_000_000 }
        let longestChain = storing.below(2) * storing.below(12)
        func begin(_ disk: SimulatedDisk) throws -> SimulatedProcess {
            try SimulatedProcess(
                index: index, number: lastNumber, configuration, disk,
                longestChain: longestChain, at: agenda.now)
        }
        try startFromDamage(index, begin)
        let process: SimulatedProcess
        do {
            process = try begin(disks[index])
        } catch let error as RepositoryError where error.code == .outOfSpace {
            note("\(name(index)) cannot start: its disk is full")
            return schedule(after: Self.startPause) { [self] in restart(index) }
        }
        processes[index] = process
        note("\(name(index)) starts", UInt64(index))
        schedule(after: .zero, by: process) { [self] in
            carryOut(process.node.start(at: clock(process)), process)
        }
        scheduleCheckpoint(process)
    }

    /// Whether a bit that has changed on a disk is noticed, or does no harm: sometimes, of a copy.
    private func startFromDamage(
        _ index: Int, _ start: (SimulatedDisk) throws -> SimulatedProcess
    ) throws {
        guard storing.below(4) == 0,
            let damaged = SimulatedDisk(flipping: disks[index], &storing)
        else { return }
        do {
            _ = try start(damaged)
        } catch is RepositoryError {
            // It does not start.
        }
    }

    func crash(_ index: Int) {
        guard let process = processes[index] else { return }
        note("\(name(index)) crashes", UInt64(index))
        disks[index].crash(
            writing: process.checkpoint, losesPower: storing.below(2) == 0, &storing)
        process.crash()
        processes[index] = nil
        forgetRebalancing(of: index)
        for connection in connections {
            for isOpener in [true, false]
            where connection[isOpener].process == process.number && connection[isOpener].isOpen {
                connection[isOpener].isOpen = false
                close(connection, !isOpener, after: microseconds(50..<5_000))
            }
        }
        connections.removeAll { !$0[true].isOpen && !$0[false].isOpen }
    }

    func clock(_ process: SimulatedProcess) -> Duration { agenda.now + process.clockLead }

    func handle(_ event: Node.Event, _ process: SimulatedProcess) {
        carryOut(process.node.handle(event, at: clock(process)), process)
    }

    /// Looks at what gates have told, and at what there is to work at.
    func attend(_ process: SimulatedProcess) {
        var notices = process.takeNotices()
        while !notices.isEmpty {
            for event in notices { tell(event, process) }
            notices = process.takeNotices()
        }
        for (number, resumption) in process.takeResumed() { resume(number, resumption, process) }
        notice(process)
        guard !process.isWorkScheduled, process.node.hasWork(at: clock(process)) else { return }
        process.isWorkScheduled = true
        schedule(after: microseconds(10..<200), by: process) { [self] in
            process.isWorkScheduled = false
            carryOut(process.node.work(at: clock(process)), process)
        }
    }

    /// Tells what a gate tells: at once, or later, as threads do that are inside for a while.
    private func tell(_ event: Node.Event, _ process: SimulatedProcess) {
        if network.below(2) == 0 { return handle(event, process) }
        schedule(after: microseconds(10..<1_000), by: process) { [self] in
            handle(event, process)
        }
    }

    func carryOut(_ actions: [Node.Action], _ process: SimulatedProcess) {
        for action in actions {
            switch action {
            case .read(let partition, let ticket): read(partition, ticket, process)
            case .prepare: break
            case .append(let entry, let partition, let ticket):
                append(entry, partition, ticket, process)
            case .probe(let ticket):
                if register.outage > agenda.now { continue }
                schedule(after: microseconds(100..<1_000), by: process) { [self] in
                    handle(.probed(ticket), process)
                }
            case .dial(let name): dial(name, process)
            case .send(let link, let move, let message): send(message, move, over: link, process)
            case .close(let link):
                guard let (connection, isOpener) = process.links.removeValue(forKey: link) else {
                    continue
                }
                let arrival = connection[isOpener].arrival
                connection[isOpener].isOpen = false
                close(
                    connection, !isOpener,
                    after: max(arrival - agenda.now, .zero) + microseconds(50..<300))
            case .makeDurable(let ticket): process.tickets.append(ticket)
            case .wait(let timer, let time): wait(timer, time, process)
            case .report(let report): tell(report, process)
            }
        }
    }

    private func wait(_ timer: Node.Timer, _ time: Duration?, _ process: SimulatedProcess) {
        guard let time else { return process.timers[timer] = nil }
        lastNumber += 1
        let number = lastNumber
        process.timers[timer] = number
        schedule(after: time, by: process) { [self] in
            guard process.timers[timer] == number else { return }
            process.timers[timer] = nil
            handle(.timedOut(timer), process)
        }
    }

    private func tell(_ report: Node.Report, _ process: SimulatedProcess) {
        note("\(name(process.index)) \(report)", UInt64(process.index))
        switch report {
        case .serves:
            if plan.mistake == .losesReplies, outcome.moved > 0 {
                process.replies.removeSilent(before: Timestamp(microseconds: .max))
            }
        case .ended(let end):
            noteRebalanced(end, process)
            switch end.outcome {
            case .moved: outcome.moved += 1
            case .givenUp(let problem), .aborted(_, let problem):
                outcome.givenUp += 1
                if [.damaged, .malformed].contains(problem.code), !hasDamaged {
                    fail("a move ended though nothing was damaged: \(problem)")
                }
            case .overtaken: break
            }
        // What was written here since it is this node's is lost, and nobody was told of it.
        case .misses(let partition, _): process.answers.removeAll { $0.partition == partition }
        case .handedOver, .unreachable: break
        }
    }

    // MARK: The register

    private func read(
        _ partition: PartitionNumber, _ ticket: Node.Ticket, _ process: SimulatedProcess
    ) {
        schedule(after: microseconds(50..<500)) { [self] in
            let answer: OwnerEntry?? =
                register.outage > agenda.now ? nil : .some(register.last(of: partition))
            schedule(after: microseconds(50..<500), by: process) { [self] in
                handle(.read(ticket, answer), process)
            }
        }
    }

    private func append(
        _ entry: OwnerEntry, _ partition: PartitionNumber, _ ticket: Node.Ticket,
        _ process: SimulatedProcess
    ) {
        if plan.mistake == .servesWithoutEntry,
            case .sealed? = process.node.gates[partition]?.state
        {
            return schedule(after: .zero, by: process) { [self] in
                handle(.appended(ticket, .appended), process)
            }
        }
        var landing = microseconds(50..<500)
        var isKnown = true
        if !register.unknown.isEmpty {
            isKnown = false
            let delay = register.unknown.removeFirst()
            countHits(ofUnknownAppendTo: partition, by: process)
            schedule(after: .milliseconds(1), by: process) { [self] in
                handle(.appended(ticket, nil), process)
            }
            guard let delay else { return }
            landing += delay
        }
        schedule(after: landing) { [self] in
            if register.outage > agenda.now, isKnown {
                return schedule(after: microseconds(50..<500), by: process) { [self] in
                    handle(.appended(ticket, nil), process)
                }
            }
            if !isKnown { countHits(ofLateAppendTo: partition) }
            let outcome = register.append(entry, to: partition)
            note("the register: \(entry) \(String(describing: outcome))", entry.fencingEpoch)
            guard isKnown else { return }
            schedule(after: microseconds(50..<500), by: process) { [self] in
                handle(.appended(ticket, outcome), process)
            }
        }
    }

    // MARK: Checkpoints

    private func scheduleCheckpoint(_ process: SimulatedProcess) {
        schedule(after: microseconds(5_000..<80_000), by: process) { [self] in
            beginCheckpoint(process)
        }
    }

    private func beginCheckpoint(_ process: SimulatedProcess) {
        if process.tickets.isEmpty, process.answers.isEmpty {
            return scheduleCheckpoint(process)
        }
        process.checkpoint = SimulatedCheckpoint(
            process.store, process.repository, longestChain: process.longestChain, process.tickets,
            process.answers.filter { process.node.hasAllRows(of: $0.partition) })
        process.tickets = []
        process.answers = process.answers.filter { !process.node.hasAllRows(of: $0.partition) }
        if plan.mistake == .answersEarly { tellDurable(process.checkpoint, process) }
        schedule(after: microseconds(50..<8_000), by: process) { [self] in endCheckpoint(process) }
    }

    private func tellDurable(_ checkpoint: SimulatedCheckpoint?, _ process: SimulatedProcess) {
        for ticket in checkpoint?.tickets ?? [] { handle(.durable(ticket), process) }
        for answer in checkpoint?.answers ?? [] { answer.answer() }
    }

    private func endCheckpoint(_ process: SimulatedProcess) {
        guard let checkpoint = process.checkpoint.take() else { return }
        scheduleCheckpoint(process)
        do {
            try disks[process.index].save(checkpoint, at: agenda.now)
        } catch let error as RepositoryError where error.code == .outOfSpace {
            // The next one has it all.
            process.tickets = checkpoint.tickets + process.tickets
            process.answers = checkpoint.answers + process.answers
            return
        } catch {
            return fail("a checkpoint of \(name(process.index)) cannot be written: \(error)")
        }
        if plan.mistake != .answersEarly { tellDurable(checkpoint, process) }
    }

    // MARK: Moves

    /// What a blackout may take, and what is done if it does not come to that; half of the moves that may hand over ahead of
    /// rows do so at once.
    private func terms() -> (Duration, SourceMove.Policy) {
        let budget = Duration.milliseconds([1, 3, 20, 200][work.below(4)])
        switch work.below(4) {
        case 0: return (budget, .fail)
        case 1: return (budget, .slow(limit: .milliseconds(1)))
        case 2: return (budget, .postcopy)
        default: return (.zero, .postcopy)
        }
    }

    func scheduleMove() {
        schedule(after: .milliseconds(work.below(300))) { [self] in
            if isCalm { return }
            scheduleMove()
            guard let process = processes[work.below(plan.nodes)], !process.isPaused else {
                return
            }
            let partitions = process.node.division.partitions
            let partition = partitions[work.below(partitions.count)]
            let target = name(work.below(plan.nodes))
            let (budget, policy) = terms()
            if work.below(12) == 0 {
                return carryOut(process.node.stop(partition, at: clock(process)), process)
            }
            do throws(MigrationProblem) {
                let actions = try process.node.move(
                    partition, to: target, budget: budget, policy: policy, at: clock(process))
                note("\(name(process.index)) is to move \(partition) to \(target)")
                carryOut(actions, process)
                attend(process)
            } catch {
                // Another node has it, or it is moving.
            }
        }
    }
}
