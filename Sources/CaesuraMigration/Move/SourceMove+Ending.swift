/// Giving up, handing over, and the end.
extension SourceMove {
    mutating func giveUp(
        _ problem: MigrationProblem, isTold: Bool = false, _ actions: inout [Action]
    ) {
        switch state {
        case .connecting, .asking, .copying:
            if isConnected, !isTold { actions.append(.send(.giveUp(problem))) }
            end(.givenUp(problem), &actions)
        case .sealing, .finishing, .handingOver: abort(problem, &actions)
        // Decided, or being decided.
        case .aborting, .lettingGo, .ended: break
        }
    }

    mutating func timedOut(_ actions: inout [Action]) {
        switch state {
        case .sealing, .finishing, .handingOver:
            abort(
                MigrationProblem(
                    .timedOut, "the handover took longer than \(plan.handoverLimit)"), &actions)
        case .aborting: appendAbort(after: plan.entry, &actions)
        case .lettingGo: askAgain(&actions)
        case .connecting, .asking:
            giveUp(
                MigrationProblem(
                    .timedOut, "node \(plan.target) has not answered, or is not reached"), &actions)
        case .copying, .ended: break
        }
    }

    mutating func abort(_ problem: MigrationProblem, _ actions: inout [Action]) {
        state = .aborting(problem)
        appendAbort(after: plan.entry, &actions)
    }

    mutating func appendAbort(after entry: OwnerEntry, _ actions: inout [Action]) {
        guard let abort = try? OwnerEntry(.abort, of: entry, to: plan.entry.owner) else {
            preconditionFailure("an entry of the register can be followed by one of its owner")
        }
        appending = abort
        actions += [.wait(nil), .append(abort)]
    }

    /// What the target appends.
    var committed: OwnerEntry? {
        try? OwnerEntry(.commit, of: plan.entry, to: plan.target)
    }

    mutating func appended(
        _ appending: OwnerAppending?, _ actions: inout [Action]
    ) {
        guard case .aborting(let problem) = state, let entry = self.appending else { return }
        switch appending {
        case nil: actions.append(.wait(Self.registerPause))
        case .appended:
            actions.append(.serve(entry))
            if isConnected { actions.append(.send(.aborted(entry))) }
            end(.aborted(entry, problem), &actions)
        case .refused(let last) where last.owner == plan.target:
            letGo(last, &actions)
            askAgain(&actions)
        // Of an append whose outcome was not known, or of another process of this name: this one follows it.
        case .refused(let last) where last.owner == plan.entry.owner:
            appendAbort(after: last, &actions)
        case .refused(let last): end(.overtaken(last), &actions)
        }
    }

    mutating func letGo(_ entry: OwnerEntry, _ actions: inout [Action]) {
        state = .lettingGo(entry)
        actions += [.wait(nil), .forward(entry)]
        // The target has applied all that it was told of with the handover, whether it came to say so or not.
        if !handsOverAhead, flow.digest != nil, flow.appliedChunks < flow.sentChunks {
            acknowledge(chunks: flow.sentChunks, bytes: flow.sentBytes, &actions)
        }
        if !isConnected { actions.append(.connect) }
    }

    /// Asks what has become of the rows: the answer may have come before it was looked for.
    mutating func askAgain(_ actions: inout [Action]) {
        if isConnected { ask(.recovery, &actions) }
    }

    mutating func end(_ outcome: Outcome, _ actions: inout [Action]) {
        if delay > .zero { actions.append(.slow(.zero)) }
        state = .ended(outcome)
        actions += [.wait(nil), .end(outcome)]
    }
}
