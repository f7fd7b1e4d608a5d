import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Chain files and boundaries of bytes that nobody vouches for.
@Suite struct HostileChainTests {
    private static let rows: UInt64 = 10

    /// A full checkpoint and deltas, of which each has another generation of all rows.
    private static func chain(
        _ generations: Range<UInt64>
    ) async throws -> (storage: MemoryStorage, path: String, epochs: [UInt64]) {
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        let service = try SessionStore(partitionBits: 1)
        var options = CheckpointOptions()
        options.holdsBase = true
        options.isReversible = true
        var epochs: [UInt64] = []
        for generation in generations {
            service.fill(rows, generation: generation)
            epochs.append(
                try await repository.checkpoint(service.store, options: options).epoch)
        }
        repository.close()
        let name = try #require(
            storage.files(in: Layout.packs).first { Layout.parts(ofChain: $0) != nil })
        return (storage, Layout.packs + "/" + name, epochs)
    }

    /// Whatever is restored is what one of the checkpoints was, and the one that was asked for.
    private func check(
        _ storage: MemoryStorage, _ epochs: [UInt64], _ generations: Range<UInt64>, _ note: String
    ) async throws {
        let repository = try Repository(location: .storage(storage), access: .read)
        for epoch in try repository.listEpochs() {
            let restored = try SessionStore(partitionBits: 1)
            do throws(RepositoryError) {
                try await repository.restore(into: restored.store, at: epoch)
                let generation = generations.lowerBound + UInt64(epochs.firstIndex(of: epoch) ?? 99)
                #expect(restored.holds(Self.rows, generation: generation), "\(note), \(epoch)")
            } catch {
                #expect(
                    [.damaged, .unsupported].contains(error.code), "\(note), \(epoch): \(error)")
                #expect(restored.sessions.count == 0, "\(note), \(epoch)")
            }
        }
        // None of these may trap.
        _ = try? await repository.verifyAll { _ in }
        _ = try? await repository.log()
        _ = try? await repository.losses()
        _ = try? await repository.salvage(into: SessionStore(partitionBits: 1).store)
    }

    @Test func `any bytes for a chain give the checkpoints that were or an error`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("hostile chains from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let generations = 1..<7 as Range<UInt64>
        let (storage, path, epochs) = try await Self.chain(generations)
        let good = try #require(storage.bytes(path))
        // Another history of the same epochs.
        let (other, otherPath, _) = try await Self.chain(11..<17)
        let strange = try #require(other.bytes(otherPath))
        let entries = try Catalog(storage).chains[0].entries
        let cuts = entries.map(\.offset) + [good.count]
        for round in 0..<240 {
            var bytes = good
            switch round % 6 {
            case 0:
                bytes = (0..<Int.random(in: 0..<2_000, using: &generator)).map { _ in
                    UInt8.random(in: 0 ... .max, using: &generator)
                }
            case 1:
                let at = Int.random(in: 0..<good.count, using: &generator)
                bytes = Array(good[..<at] + strange[min(at, strange.count)...])
            case 2:
                // Whole entries, of either, in any order and more than once.
                bytes = []
                for _ in 0..<Int.random(in: 0..<9, using: &generator) {
                    let index = Int.random(in: 0..<entries.count, using: &generator)
                    let range = cuts[index]..<cuts[index + 1]
                    let isStrange = Int.random(in: 0..<4, using: &generator) == 0
                    bytes +=
                        isStrange && range.upperBound <= strange.count
                        ? strange[range] : good[range]
                }
            case 3:
                let at = Int.random(in: 0..<good.count, using: &generator)
                let count = Int.random(in: 0..<40, using: &generator)
                bytes.removeSubrange(at..<min(good.count, at + count))
            case 4:
                for _ in 0..<Int.random(in: 1..<6, using: &generator) {
                    let at = Int.random(in: 0..<good.count, using: &generator)
                    bytes[at] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
                }
            default:
                bytes.insert(
                    contentsOf: good[..<Int.random(in: 0..<good.count, using: &generator)],
                    at: Int.random(in: 0..<good.count, using: &generator))
            }
            storage.replace(path, with: bytes)
            try await check(
                storage, epochs, generations, "round \(round), seed \(seed)")
        }
    }

    @Test func `a chain of another history is refused`() async throws {
        let (storage, path, epochs) = try await Self.chain(1..<4)
        let (other, otherPath, _) = try await Self.chain(11..<14)
        storage.replace(path, with: try #require(other.bytes(otherPath)))
        let repository = try Repository(location: .storage(storage), access: .read)
        let restored = try SessionStore(partitionBits: 1)
        await #expect(throws: RepositoryError(.damaged, "")) {
            try await repository.restore(into: restored.store, at: epochs[2])
        }
        #expect(restored.sessions.count == 0)
    }

    @Test func `any bytes for a boundary are an error or a boundary`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("hostile boundaries from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let (storage, _, _) = try await Self.chain(1..<4)
        let repository = try await Repository.open(.storage(storage))
        try await repository.prune(keeping: Retention(newest: 1))
        let name = try #require(storage.files(in: Layout.boundaries).first)
        let path = Layout.boundaries + "/" + name
        let good = try #require(storage.bytes(path))
        for round in 0..<300 {
            var bytes = good
            if round % 2 == 0 {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^=
                    1
                    << UInt8.random(in: 0..<8, using: &generator)
            } else {
                bytes = Array(good[..<Int.random(in: 0..<good.count, using: &generator)])
            }
            storage.replace(path, with: bytes)
            // It is sealed, so no changed one counts.
            await #expect(throws: RepositoryError(.damaged, ""), "round \(round), seed \(seed)") {
                _ = try await repository.epochs()
            }
        }
    }
}
