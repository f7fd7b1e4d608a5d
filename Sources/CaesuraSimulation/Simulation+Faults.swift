import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import CaesuraRepository

/// What goes wrong, and what must be true when nothing does any more.
extension Simulation {
    func inject(_ fault: Fault) {
        inject(fault.kind)
    }

    func inject(_ kind: Fault.Kind) {
        note("fault: \(kind)")
        countHits(of: kind)
        switch kind {
        case .crash(let node, let downtime):
            crash(node)
            schedule(after: downtime) { [self] in restart(node) }
        case .crashBoth(let a, let first, let b, let second):
            for (node, downtime) in [(a, first), (b, second)] {
                crash(node)
                schedule(after: downtime) { [self] in restart(node) }
            }
        case .pause(let node, let time): pause(node, for: time)
        case .clockJump(let node, let time): processes[node]?.clockLead += time
        case .disconnect(let a, let b): disconnect(a, b)
        case .partition(let a, let b, let time): cut(a, b, for: time)
        case .slowNetwork(let a, let b, let delay, let time): slow(a, b, by: delay, for: time)
        case .bitFlip(let a, let b, let bit): flips[[a, b], default: []].append(bit)
        case .duplicate(let a, let b): duplicates[[a, b], default: 0] += 1
        case .registerOutage(let time): register.outage = agenda.now + time
        case .unknownAppend(let delay): register.unknown.append(delay)
        case .diskFull(let node, let time):
            disks[node].fill(until: agenda.now + time, &storing)
        case .stop(let node):
            guard let process = processes[node], !process.isPaused else { return }
            for partition in process.node.division.partitions {
                carryOut(process.node.stop(partition, at: clock(process)), process)
            }
            attend(process)
        case .aimed(let step, let delay, let kind):
            lastNumber += 1
            armed.append(ArmedFault(number: lastNumber, step: step, delay: delay, kind: kind))
        }
    }

    /// Lets a process stand still; what is to happen in it meanwhile happens when it goes on, in the same order.
    private func pause(_ node: Int, for time: Duration) {
        guard let process = processes[node] else { return }
        process.isPaused = true
        process.pausedUntil = max(process.pausedUntil, agenda.now + time)
        schedule(after: process.pausedUntil - agenda.now) { [self] in
            guard process.isAlive, process.pausedUntil <= agenda.now else { return }
            note("\(name(node)) goes on")
            process.isPaused = false
            let postponed = process.postponed
            process.postponed = []
            for body in postponed {
                body()
                attend(process)
            }
        }
        schedule(after: Self.silence) { [self] in
            if process.isAlive, process.isPaused, time >= Self.silence { forsake(process) }
        }
    }

    func restart(_ node: Int) {
        do {
            try start(node)
        } catch {
            fail("\(name(node)) cannot start from its checkpoint: \(error)")
        }
    }

    /// From now on nothing goes wrong.
    func calmDown() {
        note("nothing goes wrong any more")
        isCalm = true
        register.outage = .zero
        register.unknown = []
        for disk in disks { disk.fullUntil = .zero }
        partitions = [:]
        delays = [:]
        flips = [:]
        duplicates = [:]
        armed = []
        for index in 0..<plan.nodes { restart(index) }
        // Who stands still goes on in its time.
    }

    /// Lets the world come to rest, and looks at it.
    func settle() throws {
        calmDown()
        // Moves that were ordered come to their end; no more are.
        _ = rebalancing?.schedule.abandon()
        // Longer than all timeouts one after another: a silent connection, a move that waits for its source, appends
        // that come late.
        let end = plan.duration + .seconds(400)
        while !isAtRest, let event = try next(before: end) { event() }
        guard isAtRest else { return fail("it does not come to rest: " + unrest) }
        guard try rebalanceAtRest() else { return }
        try check()
    }

    var isAtRest: Bool {
        clients.allSatisfy { $0.request == nil } && unrest.isEmpty
    }

    /// What is still under way.
    var unrest: String {
        var reasons: [String] = []
        for client in clients {
            if let request = client.request { reasons.append("client \(client.index): \(request)") }
        }
        for (index, process) in processes.enumerated() {
            guard let process else {
                reasons.append("\(name(index)) is down")
                continue
            }
            if process.isPaused { reasons.append("\(name(index)) stands still") }
            if !process.node.isSettled { reasons.append("\(name(index)) is not settled") }
            if process.node.hasWork(at: clock(process)) {
                reasons.append("\(name(index)) has work to do")
            }
            // One that is going to fail would fail the next move to that node.
            reasons += process.node.handshakes.map { "\(name(index)) greets \($0)" }
            reasons += process.node.moves.map { "\(name(index)) moves \($0)" }
            reasons += process.node.incomingMoves.map { "\(name(index)) takes \($0)" }
        }
        for partition in Division(bits: plan.moveBits).partitions {
            let serving = processes.compactMap(\.self).filter { process in
                if case .serving? = process.node.gates[partition]?.state { true } else { false }
            }
            if serving.count != 1 {
                reasons.append("\(serving.count) nodes serve partition \(partition)")
            }
        }
        return reasons.joined(separator: "; ")
    }

    /// What must be true at rest.
    private func check() throws {
        var found: [UInt64: UInt64] = [:]
        for process in processes.compactMap(\.self) {
            for key in 0..<UInt64(Self.keyCount) {
                guard let count = process.accounts.read(key, { $0.count }) else { continue }
                if let other = found[key] {
                    fail("key \(key) is on two nodes: \(other) and \(count)")
                }
                found[key] = count
                let gate = process.node.gates[partition(of: key)]
                guard case .serving(let entry)? = gate?.state,
                    entry == register.last(of: partition(of: key)),
                    entry.owner == name(process.index)
                else {
                    fail("key \(key) lies on \(name(process.index)), which does not own it")
                    continue
                }
            }
            try? process.repository.releaseBase()
            if process.checkpoint == nil, process.store.memoryUse.retained != 0 {
                fail(
                    "\(name(process.index)) keeps \(process.store.memoryUse.retained) bytes for cuts that are closed"
                )
            }
        }
        let asked = history.finalCounts.filter { $0.value > 0 }
        for (key, count) in asked where found[key] != count {
            fail("key \(key) has \(found[key] ?? 0) of \(count) writes")
        }
        for (key, count) in found where asked[key] == nil {
            fail("key \(key) has \(count) of 0 writes")
        }
    }
}
