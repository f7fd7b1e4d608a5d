import CaesuraMigration
import CaesuraNode
import CaesuraRepository
import CaesuraTransport

/// What the node says that is to be done.
extension NodeService {
    /// How long what could not be made durable is left alone.
    private static let durablePause = Duration.milliseconds(500)

    func carryOut(_ action: Node.Action) {
        switch action {
        case .read(let partition, let ticket): begin { await $0.read(partition, ticket) }
        case .prepare(let entry, let partition):
            begin { await $0.prepare(entry, for: partition) }
        case .append(let entry, let partition, let ticket):
            begin { await $0.append(entry, to: partition, ticket) }
        case .probe(let ticket): begin { await $0.probe(ticket) }
        case .dial(let name): begin { await $0.dial(name) }
        case .send(let link, let move, let message): send(message, about: move, to: link)
        case .close(let link): close(link)
        case .makeDurable(let ticket): begin { await $0.makeDurable(ticket) }
        case .wait(let timer, let time): wait(for: timer, time)
        case .report(let report): tell(report)
        }
    }

    func observe(_ event: Event) { configuration.observer?(event) }

    private func read(_ partition: PartitionNumber, _ ticket: Node.Ticket) async {
        let answer: OwnerEntry??
        do throws(OwnerRegisterError) {
            answer = .some(try await register.last(of: partition))
        } catch {
            observe(.registerFailed(error))
            answer = nil
        }
        handle(.read(ticket, answer))
    }

    private func prepare(_ entry: OwnerEntry, for partition: PartitionNumber) async {
        do throws(OwnerRegisterError) {
            try await register.prepare(entry, for: partition)
        } catch {
            // It is appended all the same.
            observe(.registerFailed(error))
        }
    }

    private func append(
        _ entry: OwnerEntry, to partition: PartitionNumber, _ ticket: Node.Ticket
    ) async {
        let outcome: OwnerAppending?
        do throws(OwnerRegisterError) {
            outcome = try await register.append(entry, to: partition)
        } catch {
            observe(.registerFailed(error))
            outcome = nil
        }
        handle(.appended(ticket, outcome))
    }

    private func probe(_ ticket: Node.Ticket) async {
        do throws(OwnerRegisterError) {
            try await register.probe()
            handle(.probed(ticket))
        } catch {
            observe(.registerFailed(error))
        }
    }

    private func makeDurable(_ ticket: Node.Ticket) async {
        while phase == .running {
            do throws(RepositoryError) {
                try await checkpoints?.durable()
                return handle(.durable(ticket))
            } catch {
                observe(.notDurable(error))
                // There are no more checkpoints.
                if error.code == .cancelled { return }
                await loop.sleep(for: Self.durablePause)
            }
        }
    }

    private func tell(_ report: Node.Report) {
        observe(.reported(report))
        switch report {
        case .handedOver(let partition, let entry, let blackout):
            tellOperators(
                about: partition, .handedOver(partition, entry, blackout: blackout))
        case .ended(let end):
            for waiter in waiting.removeValue(forKey: end.partition) ?? [] {
                waiter.resume(returning: end)
            }
            tellOperators(of: end)
        case .unreachable(let name, _): passBy(name)
        case .serves, .misses: break
        }
    }
}
