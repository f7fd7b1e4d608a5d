import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Chain files and boundaries of bytes that nobody vouches for.
@Suite struct HostileChainTests {
    /// How a chain file is damaged.
    private enum Damage: CaseIterable {
        case random, flips, overwritten, truncated, cut, inserted, repeated, swapped, spliced,
            sealed
    }

    // MARK: Laws

    /// What must hold of a repository in which one chain file is damaged from an offset on.
    ///
    /// - Parameters:
    ///   - isCertain: Whether chunks of an entry behind the first damaged one are there as they were written.
    private func check(
        _ image: MemoryStorage, _ chain: HostileChain, damaged file: Int, from offset: Int,
        isCertain: Bool, _ note: String
    ) async throws {
        let reader = try Repository(location: .storage(image), access: .read)
        let intact = chain.files[file].entries.prefix { $0.offset + $0.length <= offset }
        let firstEpoch = chain.files[0].baseEpoch
        let good = chain.states.keys.filter { epoch in
            epoch <= (intact.last?.epoch ?? max(firstEpoch, chain.files[file].baseEpoch))
        }
        let epochs = try await reader.epochs()
        for epoch in Set(epochs).union(good) {
            let restored = try SessionStore(partitionBits: 0)
            do throws(RepositoryError) {
                try await reader.restore(into: restored.store, at: epoch)
                #expect(
                    chain.holds(epoch, restored)
                        || !good.contains(epoch)
                            && chain.states.keys.contains { chain.holds($0, restored) },
                    "\(note): epoch \(epoch) is no state that ever was")
            } catch {
                #expect(!good.contains(epoch), "\(note): epoch \(epoch) was before the damage")
                #expect([.damaged, .notFound, .unsupported, .disturbed].contains(error.code))
                #expect(restored.sessions.count == 0, "\(note)")
            }
        }
        // All of these come to an end, whatever they find.
        let losses = try await reader.losses()
        _ = try await reader.log()
        try await reader.verifyAll { _ in }
        let newest = try SessionStore(partitionBits: 0)
        do throws(RepositoryError) {
            let restored = try await reader.restore(into: newest.store)
            let isNewest = restored?.epoch == chain.states.keys.max()
            #expect(
                isNewest || !isCertain || !losses.isEmpty,
                "\(note): acknowledged deltas are lost, and nobody is told")
            #expect(isNewest || !isCertain, "\(note): an older state came back silently")
        } catch {
            #expect([.damaged, .unsupported, .disturbed].contains(error.code))
        }
        // Whoever tidies up meets the same bytes.
        let writer = try Repository(location: .storage(image), access: .write)
        do throws(RepositoryError) {
            try await writer.prune(
                keeping: Retention(newest: 2, hourly: .seconds(7200), daily: .seconds(1 << 40)))
        } catch {
            #expect(error.code == .damaged)
        }
        writer.close()
    }

    // MARK: Damage

    private func damage(
        _ kind: Damage, _ chain: HostileChain, _ other: HostileChain, _ file: Int,
        using generator: inout SeededGenerator
    ) throws -> (bytes: [UInt8], from: Int) {
        let path = chain.files[file].path
        let whole = try #require(chain.storage.bytes(path))
        var bytes = whole
        func place() -> Int { Int.random(in: 0..<whole.count, using: &generator) }
        func noise(_ count: Int) -> [UInt8] {
            let patterns: [[UInt8]] = [
                [0], [0xFF], ChunkHeader.magicBytes,
                (0..<61).map { _ in UInt8(truncatingIfNeeded: generator.next()) },
            ]
            let pattern = patterns[Int.random(in: 0..<4, using: &generator)]
            return (0..<count).map { pattern[$0 % pattern.count] }
        }
        switch kind {
        case .random: bytes = noise(Int.random(in: 0..<2_000, using: &generator))
        case .flips:
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes[place()] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
        case .overwritten:
            let start = place()
            let count = min(Int.random(in: 1...300, using: &generator), whole.count - start)
            bytes.replaceSubrange(start..<start + count, with: noise(count))
        case .truncated: bytes.removeSubrange(place()...)
        case .cut:
            let start = place()
            bytes.removeSubrange(start..<min(whole.count, start + 1 + place() % 300))
        case .inserted:
            bytes.insert(contentsOf: noise(1 + place() % 300), at: place())
        case .repeated:
            let entries = chain.files[file].entries
            let entry = entries[Int.random(in: 0..<entries.count, using: &generator)]
            let at = entries[Int.random(in: 0..<entries.count, using: &generator)].offset
            bytes.insert(contentsOf: whole[entry.offset..<entry.offset + entry.length], at: at)
        case .swapped:
            var chunks = try chain.chunks(chain.files[file]).map(\.bytes)
            chunks.swapAt(
                Int.random(in: 0..<chunks.count, using: &generator),
                Int.random(in: 0..<chunks.count, using: &generator))
            bytes = chunks.flatMap(\.self)
        case .spliced:
            let rest = try #require(other.storage.bytes(path))
            // At entries as often as elsewhere.
            let entries = chain.files[file].entries
            let entry = Int.random(in: 0..<entries.count, using: &generator)
            let isClean = Bool.random(using: &generator)
            let at = isClean ? entries[entry].offset : place()
            let from = isClean ? other.files[file].entries[entry].offset : place() % rest.count
            bytes = Array(whole[..<at]) + rest[from...]
        case .sealed:
            var chunks = try chain.chunks(chain.files[file]).map(\.bytes)
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let index = Int.random(in: 0..<chunks.count, using: &generator)
                Self.forge(&chunks[index], using: &generator)
            }
            bytes = chunks.flatMap(\.self)
        }
        let same = zip(bytes, whole).prefix { $0 == $1 }.count
        return (bytes, same)
    }

    /// Changes a field of a header to a number at some limit, or a byte of the body, and makes the checksums fit.
    private static func forge(_ chunk: inout [UInt8], using generator: inout SeededGenerator) {
        let length = Int(chunk[5])
        if Bool.random(using: &generator) || chunk.count == length {
            var fields: [Range<Int>] = []
            var start = 25
            while start < length - 8 {
                var end = start
                while chunk[end] >= 0x80 { end += 1 }
                fields.append(start..<end + 1)
                start = end + 1
            }
            let limits: [UInt64] = [
                0, 1, 2, 127, 128, 8192, 8193, 1 << 26, 1 << 31, 1 << 47, 1 << 48, 1 << 63,
                .max - 1, .max,
            ]
            var writer = ByteWriter()
            writer.append(varint: limits[Int.random(in: 0..<limits.count, using: &generator)])
            let field = fields[Int.random(in: 0..<fields.count, using: &generator)]
            chunk.replaceSubrange(field, with: writer.array)
            chunk[5] = UInt8(length + writer.count - field.count)
        } else {
            let place = Int.random(in: length..<chunk.count, using: &generator)
            chunk[place] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &generator)]
        }
        ForgedCheckpoint.seal(&chunk)
    }

    // MARK: Damage of every kind

    @Test(arguments: Damage.allCases)
    private func `whatever a chain file holds, only true states come back, and losses are told`(
        _ kind: Damage
    ) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("chain files, \(kind), from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let chain = try await HostileChain(starts: 3, deltas: 4, using: &generator)
        let other = try await HostileChain(starts: 3, deltas: 4, using: &generator)
        for round in 0..<30 {
            let file = Int.random(in: 0..<chain.files.count, using: &generator)
            let (bytes, from) = try damage(kind, chain, other, file, using: &generator)
            let path = chain.files[file].path
            guard bytes != chain.storage.bytes(path) else { continue }
            // What the file has of the last of its entries shows that those before it had been acknowledged.
            let last = try #require(chain.files[file].entries.last)
            let tail = try #require(chain.storage.bytes(path))[last.offset...]
            try await check(
                chain.image(path, bytes), chain, damaged: file, from: from,
                isCertain: kind != .swapped && from < last.offset
                    && bytes.suffix(tail.count).elementsEqual(tail),
                "\(kind), round \(round) of seed \(seed)")
        }
    }

    @Test func `a chunk whose body the file lacks tells that what was before it is lost`()
        async throws
    {
        var generator = SeededGenerator(seed: 7)
        let chain = try await HostileChain(starts: 1, deltas: 3, using: &generator)
        let file = chain.files[0]
        var bytes = try #require(chain.storage.bytes(file.path))
        // The second delta was acknowledged and is damaged; the third was being written.
        bytes[file.entries[1].offset + file.entries[1].length - 1] ^= 1
        let header = Int(bytes[file.entries[2].offset + 5])
        bytes.removeSubrange((file.entries[2].offset + header)...)
        let image = chain.image(file.path, bytes)
        let reader = try Repository(location: .storage(image), access: .read)
        #expect(try await reader.losses().count == 1)
        await #expect(throws: RepositoryError(.damaged, "")) {
            try await reader.restore(into: SessionStore().store)
        }
    }

    @Test func `a tail of what looks like chunks is read once`() async throws {
        var generator = SeededGenerator(seed: 8)
        let chain = try await HostileChain(starts: 1, deltas: 1, using: &generator)
        let file = chain.files[0]
        let tail = (0..<1 << 18).flatMap { _ in ChunkHeader.magicBytes }
        let bytes = try #require(chain.storage.bytes(file.path)) + tail
        let storage = CountingStorage(chain.image(file.path, bytes))
        let found = try ChainScan.scan(file.path, baseEpoch: file.baseEpoch, in: storage)
        #expect(found.entries.count == 1)
        #expect(found.tail?.length == tail.count)
        #expect(storage.bytesRead < 2 * bytes.count)
    }

    @Test func `an entry whose file has become shorter since it was looked at is damaged`()
        async throws
    {
        var generator = SeededGenerator(seed: 10)
        let chain = try await HostileChain(starts: 1, deltas: 2, using: &generator)
        let file = chain.files[0]
        for length in [0, 10, file.entries[1].offset - 1, file.entries[1].offset + 50] {
            let bytes = try #require(chain.storage.bytes(file.path))
            let image = chain.image(file.path, Array(bytes[..<length]))
            let error = #expect(throws: RepositoryError(.damaged, "")) {
                var reader = DeltaReader(image)
                try reader.verify(file.entries[1], base: nil)
            }
            #expect(error?.path == image.display(file.path))
        }
    }

    // MARK: Names and times

    @Test func `times at the ends of what a number holds do not stop who removes`() {
        let moments: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
        let checkpoints = moments.enumerated().map {
            (epoch: UInt64($0 + 1), created: WallClock(microseconds: $1))
        }
        for span in [Duration.zero, .seconds(1), .seconds(Int64.max)] {
            let rule = Retention(newest: 1, hourly: span, daily: span)
            #expect(rule.selection(of: checkpoints).contains(7))
            #expect(rule.selection(of: checkpoints.reversed()).contains(1))
        }
        let rule = Retention(newest: 1, hourly: .seconds(Int64.max))
        // The first two share an hour, as do those around zero but for the one before it, and the last two.
        #expect(rule.selection(of: checkpoints) == [2, 3, 5, 7])
    }

    @Test func `the largest numbers in names are refused`() async throws {
        var generator = SeededGenerator(seed: 11)
        let chain = try await HostileChain(starts: 1, deltas: 2, using: &generator)
        #expect(Layout.parts(ofChain: "00000000000000000001-\(Int.max).chain") == nil)
        #expect(Layout.parts(ofChain: "00000000000000000001-\(Int.max - 1).chain") != nil)
        let boundary = Boundary(number: .max, epoch: 0, kept: [])
        try boundary.publish(in: chain.storage)
        let repository = try Repository(location: .storage(chain.storage), access: .write)
        let error = await #expect(throws: RepositoryError(.damaged, "")) {
            try await repository.prune(keeping: Retention(newest: 1))
        }
        #expect(error?.hint != nil)
        #expect(try await repository.epochs().count == 3)
    }

    // MARK: Boundaries

    @Test func `a damaged boundary is told, and nothing is removed because of it`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("boundaries from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let chain = try await HostileChain(starts: 1, deltas: 4, using: &generator)
        let writer = try Repository(location: .storage(chain.storage), access: .write)
        let kept = try await writer.prune(keeping: Retention(newest: 3)).kept
        writer.close()
        let path = Layout.boundaries + "/" + (chain.storage.files(in: Layout.boundaries).last ?? "")
        let whole = try #require(chain.storage.bytes(path))
        for round in 0..<300 {
            var bytes = whole
            switch round % 4 {
            case 0:
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8(round % 8)
            case 1: bytes.removeSubrange(Int.random(in: 0..<bytes.count, using: &generator)...)
            case 2:
                bytes = (0..<Int.random(in: 0..<300, using: &generator)).map { _ in
                    UInt8(truncatingIfNeeded: generator.next())
                }
            default:
                // Another document, with a digest that fits.
                let covered = whole.count - 32 - SealedJSON.ending.count
                bytes = Array(whole[..<covered])
                let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
                let place = digits[Int.random(in: 0..<digits.count, using: &generator)]
                bytes.replaceSubrange(
                    place...place,
                    with: Array(["", "-", "99999999999999999999", "0"][round / 4 % 4].utf8))
                let digest = unsafe Digest(of: bytes.span.bytes)
                bytes += Array(digest.description.utf8) + SealedJSON.ending
            }
            guard bytes != whole else { continue }
            let image = chain.image(path, bytes)
            let files = image.files(in: Layout.packs)
            do throws(RepositoryError) {
                let reader = try Repository(location: .storage(image), access: .write)
                let epochs = try await reader.epochs()
                #expect(round % 4 == 3, "round \(round) of seed \(seed): \(epochs), not \(kept)")
            } catch {
                #expect(
                    [.damaged, .unsupported].contains(error.code),
                    "round \(round) of seed \(seed): \(error)")
            }
            #expect(image.files(in: Layout.packs) == files)
        }
    }
}
