import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// Clients, and how nodes answer them.
extension Simulation {
    func think() -> Duration { .microseconds(work.below(6_000)) }

    // MARK: Asking

    func ask(_ client: SimulatedClient) {
        if isCalm { return }
        let key = UInt64(work.below(Self.keyCount))
        let isWrite = work.below(3) > 0
        if isWrite { client.sequence += 1 }
        client.asked += 1
        client.bound = isWrite ? history.askWrite(key) : history.askRead(key)
        client.request = SimulatedClient.Request(
            client: client.index, number: client.asked, sequence: client.sequence, key: key,
            isWrite: isWrite, fencingEpoch: nil, attempt: 0)
        send(client, to: nil)
    }

    /// Sends what a client waits for.
    private func send(_ client: SimulatedClient, to index: Int?) {
        guard var request = client.request else { return }
        request.attempt += 1
        let known = client.owners[partition(of: request.key)]
        request.fencingEpoch = known?.fencingEpoch
        client.request = request
        let owner = known.flatMap { known in
            (0..<plan.nodes).first { name($0) == known.owner }
        }
        let target = index ?? owner ?? work.below(plan.nodes)
        schedule(after: microseconds(30..<300)) { [self] in
            guard let process = processes[target] else { return }
            schedule(after: .zero, by: process) { [self] in serve(request, process) }
        }
        // Again, if nothing comes; somebody else may know more.
        schedule(after: Self.patience) { [self] in
            guard client.request?.number == request.number,
                client.request?.attempt == request.attempt
            else { return }
            client.owners[partition(of: request.key)] = nil
            send(client, to: work.below(plan.nodes))
        }
    }

    func partition(of key: UInt64) -> PartitionNumber {
        Division(bits: plan.moveBits).partition(
            ofHash: key.hash(with: SimulatedProcess.hashKey))
    }

    // MARK: Answering

    private func serve(_ request: SimulatedClient.Request, _ process: SimulatedProcess) {
        let partition = partition(of: request.key)
        guard let gate = process.node.gates[partition],
            let range = process.node.division.range(of: partition)
        else { return }
        let outcome = gate.perform(
            checking: request.fencingEpoch, touching: process.rows(of: request)
        ) { epoch -> UInt64? in
            guard request.isWrite else {
                return process.accounts.read(request.key) { $0.count } ?? 0
            }
            return write(request, partition, range, epoch, process)
        }
        switch outcome {
        case .done(nil): break
        case .done(let count?):
            let body = { [self] in answer(request, .done(count)) }
            if plan.answersAreDurable { process.answers.append((partition, body)) } else { body() }
        case .wait: wait(request, at: gate, process)
        case .elsewhere(let entry): answer(request, .elsewhere(entry))
        case .overtaken:
            handle(.overtaken(partition), process)
            answer(request, .tryAgain)
        }
    }

    private func write(
        _ request: SimulatedClient.Request, _ partition: PartitionNumber, _ range: HashRange,
        _ epoch: UInt64, _ process: SimulatedProcess
    ) -> UInt64? {
        let client = UInt64(request.client)
        let (accounts, key) = (process.accounts, request.key)
        // Now and then a value that does not lie in a page, and moves as pieces.
        let photo: [UInt8]? =
            request.sequence % 16 == 0
            ? Array(
                repeating: UInt8(truncatingIfNeeded: request.sequence),
                count: Int(request.sequence &* 2_971 % 90_000)) : nil
        let outcome = process.replies.perform(
            client: client, sequence: request.sequence,
            place: process.replies.place(of: client, in: range),
            at: Timestamp(microseconds: Int64(agenda.now / .microseconds(1))), in: range,
            touching: [accounts.row(key)], staging: photo.map { [$0] } ?? []
        ) { transaction in
            let count = (transaction.read(accounts, key) { $0.count } ?? 0) + 1
            let note = String(repeating: "n", count: Int(count * 7 % 60))
            if count == 1 {
                transaction[accounts, key] = Account(count: count, note: note, photo: [])
            }
            transaction.update(accounts, key) { row in
                row.count = count
                row.note = note
                if let photo { row.photo = photo }
            }
            return unsafe withUnsafeBytes(of: count.littleEndian) { unsafe Array($0) }
        }
        switch outcome {
        case .done(let reply):
            history.accept(partition, epoch, by: name(process.index))
            return count(reply)
        case .repeated(let reply): return count(reply)
        // It was sent twice, and the client has got the answer to the first.
        case .tooOld: return nil
        case .tooLong:
            fail("a reply of 8 bytes is too long")
            return nil
        }
    }

    private func count(_ reply: [UInt8]) -> UInt64 {
        reply.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func wait(
        _ request: SimulatedClient.Request, at gate: PartitionGate, _ process: SimulatedProcess
    ) {
        lastNumber += 1
        let number = lastNumber
        process.wait(request, number, at: gate)
        schedule(after: .milliseconds(100), by: process) { [self] in
            guard let (request, ticket) = process.waiting[number], gate.cancel(ticket) else {
                return
            }
            process.waiting[number] = nil
            answer(request, .tryAgain)
        }
    }

    /// Goes on with a request that has waited at a gate.
    func resume(
        _ number: UInt64, _ resumption: PartitionGate.Resumption, _ process: SimulatedProcess
    ) {
        guard var request = process.waiting.removeValue(forKey: number)?.request else { return }
        switch resumption {
        case .serves:
            request.fencingEpoch = nil
            serve(request, process)
        case .elsewhere(let entry): answer(request, .elsewhere(entry))
        case .tooMany: answer(request, .tryAgain)
        }
    }

    private func answer(_ request: SimulatedClient.Request, _ answer: SimulatedClient.Answer) {
        schedule(after: microseconds(30..<300)) { [self] in
            let client = clients[request.client]
            guard client.request?.number == request.number else { return }
            let partition = partition(of: request.key)
            switch answer {
            case .done(let count):
                client.request = nil
                note("client \(client.index) has \(count) of \(request.key)", count, request.key)
                if request.isWrite {
                    history.answerWrite(request.key, count, above: client.bound)
                } else {
                    history.answerRead(request.key, count, atLeast: client.bound)
                }
                schedule(after: think()) { [self] in ask(client) }
            case .elsewhere(let entry):
                if let entry, entry.fencingEpoch > client.owners[partition]?.fencingEpoch ?? 0 {
                    client.owners[partition] = entry
                }
                schedule(after: .milliseconds(1 + work.below(5))) { [self] in
                    guard client.request?.number == request.number,
                        client.request?.attempt == request.attempt
                    else { return }
                    send(client, to: entry == nil ? work.below(plan.nodes) : nil)
                }
            case .tryAgain:
                schedule(after: .milliseconds(1 + work.below(20))) { [self] in
                    guard client.request?.number == request.number,
                        client.request?.attempt == request.attempt
                    else { return }
                    send(client, to: work.below(plan.nodes))
                }
            }
        }
    }
}
