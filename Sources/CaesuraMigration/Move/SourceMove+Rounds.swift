import CaesuraFormat

/// Rounds, and what is done when they are applied.
extension SourceMove {
    mutating func beginRound(_ actions: inout [Action]) {
        round += 1
        flow = Flow()
        awaitsAudit = false
        let isLast = if case .finishing = state { true } else { false }
        actions.append(
            .beginRound(
                round == 1 ? .snapshot : isLast && handsOverAhead ? .slices : .delta))
    }

    mutating func roundBegan(
        _ epoch: UInt64, _ baseEpoch: UInt64, _ baseDigest: UInt64,
        _ missing: Set<HashRange>, _ now: Duration, _ actions: inout [Action]
    ) {
        switch state {
        case .copying, .finishing, .lettingGo: break
        // The connection was lost meanwhile: the round waits for another.
        case .connecting, .asking: break
        case .sealing, .handingOver, .aborting, .ended: return
        }
        flow.epoch = epoch
        flow.baseEpoch = baseEpoch
        flow.baseDigest = baseDigest
        flow.began = now
        flow.interval = round == 1 ? .zero : now - lastCut
        flow.hasBegun = true
        lastCut = now
        guard isConnected else { return }
        switch state {
        case .connecting, .asking: return
        default: break
        }
        actions.append(.send(.round(announcement)))
        if case .finishing = state, handsOverAhead {
            state = .handingOver
            // What changed goes when the target owns the partition, so that nothing is in the way of that.
            return actions.append(
                .send(.handoverAhead(HandoverAhead(epoch: flow.epoch, missing: missing))))
        }
        encodeMore(&actions)
    }

    mutating func encodeMore(_ actions: inout [Action]) {
        guard flow.hasBegun, !flow.isEncoding, flow.digest == nil,
            flow.sentBytes - flow.appliedBytes < plan.window
        else { return }
        flow.isEncoding = true
        actions.append(.encode)
    }

    mutating func encoded(
        _ byteCount: Int, _ digest: UInt64?, _ actions: inout [Action]
    ) {
        flow.isEncoding = false
        flow.sentChunks += 1
        flow.sentBytes += UInt64(byteCount)
        flow.digest = digest
        switch state {
        case .finishing:
            guard let digest else { return encodeMore(&actions) }
            // It goes behind the round's end: the target acts on it once it has applied that, and a round trip sooner than if it
            // had been waited for.
            state = .handingOver
            actions.append(.send(.handover(Handover(epoch: flow.epoch, digest: digest))))
        case .copying, .lettingGo: encodeMore(&actions)
        // What is encoded while there is no connection is sent again with the rest.
        case .connecting, .asking, .sealing, .handingOver, .aborting, .ended: break
        }
    }

    mutating func acknowledge(
        chunks: UInt64, bytes: UInt64, _ actions: inout [Action]
    ) {
        actions.append(.acknowledge(chunks: chunks))
        flow.appliedChunks = chunks
        flow.appliedBytes = bytes
    }

    mutating func applied(
        _ applied: Applied, _ now: Duration, _ actions: inout [Action]
    ) {
        // Of a round that is done with.
        if applied.round < round { return }
        guard fits(applied) else {
            return giveUp(
                MigrationProblem(.malformed, "more was applied than was sent"), &actions)
        }
        acknowledge(chunks: applied.chunks, bytes: applied.bytes, &actions)
        proceed(now, &actions)
    }

    /// Whether a target may have applied so much by now.
    func fits(_ applied: Applied) -> Bool {
        applied.round == round
            && (flow.appliedChunks...flow.sentChunks).contains(applied.chunks)
            && (flow.appliedBytes...flow.sentBytes).contains(applied.bytes)
            && applied.isComplete == (flow.digest != nil && applied.chunks == flow.sentChunks)
    }

    /// Goes on with a round, or with what follows when all of it is applied.
    mutating func proceed(_ now: Duration, _ actions: inout [Action]) {
        guard flow.digest != nil, flow.appliedChunks == flow.sentChunks else {
            return encodeMore(&actions)
        }
        guard case .copying = state else { return }
        if round == 1, audits.own == nil { actions.append(.audit) }
        let duration = now - flow.began
        // There and back is part of it; a message that was measured may have waited for others.
        if duration < roundTrip {
            roundTrip = duration
            estimateOverhead()
        }
        convergence.note(
            Convergence.Round(
                bytes: flow.appliedBytes, duration: duration, interval: flow.interval))
        decide(&actions)
    }

    mutating func decide(_ actions: inout [Action]) {
        if plan.policy == .postcopy, plan.budget == .zero {
            if hasAgreed { return concede(&actions) }
            awaitsAudit = true
            return
        }
        switch convergence.verdict {
        case .fits where hasAgreed:
            state = .sealing
            actions += [.seal, .wait(plan.handoverLimit)]
        case .stuck where hasAgreed: concede(&actions)
        case .improves: beginRound(&actions)
        case .tooFar: giveUp(tooFar, &actions)
        // No better until the audit is over.
        case .fits, .stuck: awaitsAudit = true
        }
    }

    /// Does what the policy says when rounds do not help.
    mutating func concede(_ actions: inout [Action]) {
        if plan.policy == .postcopy, plan.partition != .unkeyed {
            handsOverAhead = true
            state = .sealing
            actions += [.seal, .wait(plan.handoverLimit)]
            return
        }
        if case .slow(let limit) = plan.policy, delay < limit {
            delay = min(limit, delay == .zero ? Self.firstDelay : delay * 2)
            convergence.beginAnew()
            actions.append(.slow(delay))
            return beginRound(&actions)
        }
        let (dirty, applied) = (
            convergence.dirtyBytesPerSecond ?? 0, convergence.appliedBytesPerSecond ?? 0
        )
        let blackout = convergence.prediction ?? .zero
        let hint =
            plan.policy == .postcopy
            ? "logs and cells cannot follow their owner; move them under another policy: " : ""
        giveUp(
            MigrationProblem(
                .doesNotConverge,
                hint
                    + "writers change \(Int(dirty)) bytes a second and the target applies \(Int(applied)): the blackout would be "
                    + "\(blackout), and \(plan.budget) are allowed"), &actions)
    }

    var tooFar: MigrationProblem {
        MigrationProblem(
            .doesNotConverge,
            "the register takes \(registerTime) and a round trip \(roundTrip): the blackout would be \(convergence.overhead) "
                + "without any writers, and \(plan.budget) are allowed")
    }

    // MARK: Audit

    var hasAgreed: Bool { audits.own != nil && audits.own == audits.others }

    /// Whether the target has all of the first round, and only what was written since is still to go.
    public var isConverging: Bool { state == .copying && hasAgreed }

    mutating func compareAudits(_ actions: inout [Action]) {
        guard let own = audits.own, let others = audits.others else { return }
        if own == others {
            if awaitsAudit, case .copying = state { beginRound(&actions) }
            return
        }
        giveUp(
            MigrationProblem(
                .damaged,
                "the target has other rows at epoch \(own.epoch): \(others.rows) of them, and \(own.rows) here"
            ),
            &actions)
    }
}
