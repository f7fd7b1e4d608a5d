import CaesuraFormat
import Testing

@testable import Caesura

/// A row of a field that lies in it, and one that comes and goes.
@Schema("leaflet")
struct Leaflet: Equatable {
    @Field(1) var number: UInt32
    @Field(2) var text: String?
}

/// Every history of a few keys over three epochs, many of them in one store: a table is a world.
///
/// Of each world the deltas from the first cut to the second, from there to the third, and from the first to the
/// third are applied to copies of their bases, and must have no change more than there was.
@Suite struct DeltaWorldTests {
    /// What happens to a key.
    enum Step: Character {
        case insert = "I"
        case remove = "R"
        /// Changes a field that lies in the row.
        case number = "n"
        /// Changes an optional text: it comes or goes.
        case text = "t"
        /// Sets the whole row to what it is.
        case same = "="
        /// Makes the row what it was at the first cut.
        case back = "<"
        /// Inserts the row that was removed in this epoch.
        case again = "A"
    }

    /// What may happen to a key in one epoch.
    struct Alphabet {
        var whenAbsent: [[Step]]
        var whenPresent: [[Step]]

        static let full = Alphabet(
            whenAbsent: [[], [.insert], [.insert, .remove]],
            whenPresent: [
                [], [.number], [.text], [.back], [.remove], [.remove, .insert], [.remove, .again],
                [.remove, .insert, .remove],
            ])
        static let medium = Alphabet(
            whenAbsent: [[], [.insert]],
            whenPresent: [[], [.text], [.remove], [.remove, .insert]])
        static let least = Alphabet(
            whenAbsent: [[], [.insert]], whenPresent: [[], [.number], [.remove]])
        static let comingAndGoing = Alphabet(
            whenAbsent: [[], [.insert]], whenPresent: [[], [.remove]])

        /// Whether a key is there at the first cut, and its two epochs after that.
        var histories: [(isThere: Bool, epochs: [[Step]])] {
            [false, true].flatMap { isThere in
                (isThere ? whenPresent : whenAbsent).flatMap { second in
                    (isAfter(second, isThere) ? whenPresent : whenAbsent).map { third in
                        (isThere, [second, third])
                    }
                }
            }
        }

        private func isAfter(_ steps: [Step], _ isThere: Bool) -> Bool {
            steps.reduce(isThere) { isThere, step in
                switch step {
                case .insert, .again: true
                case .remove: false
                default: isThere
                }
            }
        }
    }

    typealias Move = (key: Int, step: Step)

    /// How the steps of several keys follow each other in an epoch.
    enum Interleaving {
        /// In all ways that differ in the order of insertions and removals: the rest commutes.
        case all
        /// In one of two ways, by turns: key by key, or the first steps of all keys before the second ones, from
        /// the last key to the first.
        case either

        func callAsFunction(_ steps: [[Step]], turn: Int) -> [[Move]] {
            var found: [[Move]] = []
            switch self {
            case .all: merge(steps.map { $0[...] }, [], into: &found)
            case .either where turn % 2 == 0:
                found = [steps.enumerated().flatMap { key, steps in steps.map { (key, $0) } }]
            case .either:
                found = [
                    (0..<3).flatMap { round in
                        steps.indices.reversed().flatMap { key in
                            steps[key].dropFirst(round).prefix(1).map { (key, $0) }
                        }
                    }
                ]
            }
            var seen: Set<String> = []
            return found.filter { moves in
                let order = moves.filter { "IRA".contains($0.step.rawValue) }
                return seen.insert(String(describing: order)).inserted
            }
        }

        private func merge(
            _ rest: [ArraySlice<Step>], _ before: [Move], into found: inout [[Move]]
        ) {
            if rest.allSatisfy(\.isEmpty) { return found.append(before) }
            for key in rest.indices {
                guard let step = rest[key].first else { continue }
                var rest = rest
                rest[key].removeFirst()
                merge(rest, before + [(key, step)], into: &found)
            }
        }
    }

    /// One history.
    struct World: CustomStringConvertible {
        var isThere: [Bool]
        /// What happens in the second epoch and in the third.
        var epochs: [[Move]]

        var description: String {
            let moves = epochs.map { $0.map { "\($0.key)\($0.step.rawValue)" }.joined() }
            return "\(isThere.map { $0 ? "1" : "0" }.joined()) \(moves[0]) \(moves[1])"
        }

        /// All of them.
        static func all(
            keys: Int, _ alphabet: Alphabet, _ interleaving: Interleaving
        ) -> [World] {
            let histories = alphabet.histories
            var chosen = Array(repeating: 0, count: keys)
            var worlds: [World] = []
            while true {
                let second = interleaving(
                    chosen.map { histories[$0].epochs[0] }, turn: worlds.count)
                let third = interleaving(
                    chosen.map { histories[$0].epochs[1] }, turn: worlds.count / 2)
                for second in second {
                    for third in third {
                        worlds.append(
                            World(
                                isThere: chosen.map { histories[$0].isThere },
                                epochs: [second, third]))
                    }
                }
                var key = 0
                while key < keys, chosen[key] == histories.count - 1 {
                    chosen[key] = 0
                    key += 1
                }
                if key == keys { return worlds }
                chosen[key] += 1
            }
        }
    }

    typealias Model = [Leaflet?]

    /// The places of keys.
    struct Places {
        var hashKey = DeltaWorldTests.hashKey
        var partitionBits: Int
        var keys: [UInt64]
        /// Keys of rows that stay as they are.
        var others: [UInt64] = []
    }

    static let hashKey = HashKey(k0: 1, k1: 2)

    /// The first keys whose hashes fulfil a condition.
    static func keys(
        _ count: Int, of hashKey: HashKey = hashKey, where isWanted: @escaping (UInt64) -> Bool
    ) -> [UInt64] {
        Array((0...).lazy.filter { isWanted(hashKey.hash($0)) }.prefix(count))
    }

    /// In one page, with one tag.
    static let oneTag: Places = {
        let tag = hashKey.hash(4_711) >> 48
        return Places(partitionBits: 0, keys: keys(4) { $0 >> 48 == tag })
    }()

    /// In one page, two with the tag that unused slots have, and two with the one before it.
    static let lastTag = Places(
        partitionBits: 0,
        keys: keys(2) { $0 >> 48 == 0xFFFF } + keys(2) { $0 >> 48 == 0xFFFE })

    /// In one page, and one of them looks like an unused slot: it is all zero, and its tag is theirs.
    static let zero: Places = {
        let hashKey = (0...).lazy.map { HashKey(k0: $0, k1: 2) }.first {
            $0.hash(0) >> 48 == 0xFFFF
        }!
        return Places(
            hashKey: hashKey, partitionBits: 0,
            keys: keys(2, of: hashKey) { $0 >> 48 == 0xFFFF })
    }()

    /// In one page, two with the same hash, found by following h(h(…)) to where two ways meet, and one of their tag.
    static let oneHash: Places = {
        let twins: [UInt64] = [6_776_373_608_764_246_954, 14_486_788_406_051_613_416]
        let hash = hashKey.hash(twins[0])
        precondition(hash == hashKey.hash(twins[1]), "they have the same hash")
        return Places(partitionBits: 0, keys: twins + keys(1) { $0 >> 48 == hash >> 48 })
    }()

    /// In two pages of two partitions, each with one tag.
    static let twoPartitions: Places = {
        let tag = (hashKey.hash(4_711) << 1) >> 48
        let (low, high) = (
            keys(2) { $0 >> 63 == 0 && ($0 << 1) >> 48 == tag },
            keys(2) { $0 >> 63 == 1 && ($0 << 1) >> 48 == tag }
        )
        return Places(partitionBits: 1, keys: [low[0], high[0], low[1], high[1]])
    }()

    /// In a page that is split when the second of them joins it.
    static let splitPage: Places = {
        var places = oneTag
        places.others = Array((1_000_000...).prefix(47))
        return places
    }()

    /// Many worlds in one store, and copies of it.
    final class Batch {
        let worlds: ArraySlice<World>
        let places: Places
        let store: Store
        let tables: [Table<UInt64, Leaflet>]
        /// Of each world the rows at the three cuts.
        var models: [[Model]]
        private(set) var cuts: [Cut] = []

        init(_ worlds: ArraySlice<World>, _ places: Places) throws {
            self.worlds = worlds
            self.places = places
            store = SnapshotTests.store(places.partitionBits, key: places.hashKey)
            tables = try Self.tables(worlds.count, in: store)
            models = worlds.map { [$0.isThere.map { _ in nil }] }
        }

        static func tables(_ count: Int, in store: Store) throws -> [Table<UInt64, Leaflet>] {
            // Names whose order is that of the worlds.
            try (0..<count).map {
                try store.table("\(10_000 + $0)", key: UInt64.self, row: Leaflet.self)
            }
        }

        /// Lives through the three epochs.
        func live() {
            for (index, world) in worlds.enumerated() {
                for key in places.others { tables[index][key] = row(epoch: 0) }
                for key in world.isThere.indices where world.isThere[key] {
                    perform(.insert, key, 1, in: index)
                }
            }
            cuts.append(store.cut())
            for epoch in 2...3 {
                for (index, world) in worlds.enumerated() {
                    models[index].append(models[index][epoch - 2])
                    for move in world.epochs[epoch - 2] {
                        perform(move.step, move.key, epoch, in: index)
                    }
                }
                cuts.append(store.cut())
            }
        }

        private func row(epoch: Int) -> Leaflet {
            Leaflet(number: UInt32(epoch), text: epoch == 2 ? "new" : nil)
        }

        private func perform(_ step: Step, _ index: Int, _ epoch: Int, in world: Int) {
            let table = tables[world]
            let key = places.keys[index]
            var row = models[world][epoch - 1][index]
            switch step {
            case .insert:
                row = self.row(epoch: epoch)
                table[key] = row
            case .remove:
                row = nil
                table.remove(key)
            case .number:
                row!.number += 10
                table.update(key) { $0.number += 10 }
            case .text:
                let text = row!.text == nil ? "text \(epoch)" : nil
                row!.text = text
                table.update(key) { $0.text = text }
            case .same: table[key] = row
            case .back:
                row = models[world][0][index] ?? row
                table[key] = row
            case .again:
                row = models[world][epoch - 2][index]
                table[key] = row
            }
            models[world][epoch - 1][index] = row
        }

        /// The chunk of each world that changed from one cut to another.
        func delta(
            _ base: Int, _ target: Int, digest: UInt64, isReversible: Bool
        ) throws -> (chunks: [Int: [UInt8]], end: StreamEnd) {
            let source = try DeltaSource(
                from: cuts[base], to: cuts[target], baseDigest: digest, isReversible: isReversible)
            let worker = DeltaSource.Worker(for: source)
            var end = StreamEnd(regionCount: source.regionCount, baseDigest: digest)
            var chunks: [Int: [UInt8]] = [:]
            while let job = try source.next() {
                try unsafe source.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(StoreError) in
                        end.add(header)
                        unsafe chunks[header.region] = [UInt8](bytes)
                        let changes = zip(
                            models[header.region][base], models[header.region][target]
                        ).count { $0 != $1 }
                        if header.rowCount != changes {
                            fail(header.region, "\(base)-\(target) has \(header.rowCount) changes")
                        }
                    }, refused: { $0 })
            }
            for world in models.indices
            where chunks[world] == nil && models[world][base] != models[world][target] {
                fail(world, "\(base)-\(target) is missing")
            }
            return (chunks, end)
        }

        func fail(_ world: Int, _ sentence: String) {
            Issue.record("\(places.keys): \(worlds[worlds.startIndex + world]): \(sentence)")
        }
    }

    /// A copy of a batch's store.
    struct Copy {
        let batch: Batch
        let store: Store
        let tables: [Table<UInt64, Leaflet>]
        var digest: UInt64

        /// Restores one of the cuts.
        init(_ batch: Batch, at cut: Int) throws {
            self.batch = batch
            store = SnapshotTests.store(batch.places.partitionBits, key: batch.places.hashKey)
            tables = try Batch.tables(batch.worlds.count, in: store)
            var restorer = StreamRestorer(into: store)
            try restorer.push(batch.cuts[cut].write(to: ByteArraySink()).bytes)
            try restorer.finish()
            digest = try #require(store.ancestor).digest
            expectRows(at: cut)
        }

        /// Applies the delta from one cut to another, chunk by chunk, each of them twice.
        @discardableResult
        mutating func follow(
            _ base: Int, _ target: Int, isReversible: Bool, refusing others: [Int: [UInt8]] = [:]
        ) throws -> [Int: [UInt8]] {
            try refuse(others)
            expectRows(at: base)
            let delta = try batch.delta(base, target, digest: digest, isReversible: isReversible)
            let applier = try DeltaApplier(store)
            let worker = DeltaApplier.Worker(for: applier)
            for (world, chunk) in delta.chunks {
                if try apply(chunk, applier, worker) != .applied {
                    batch.fail(world, "\(base)-\(target) was not new")
                }
                if try apply(chunk, applier, worker) != .alreadyApplied {
                    batch.fail(world, "\(base)-\(target) was new twice")
                }
            }
            try applier.finish(delta.end, at: batch.cuts[target].epoch.rawValue)
            digest = delta.end.digest
            expectRows(at: target)
            try expectNothingNew(delta.chunks)
            return delta.chunks
        }

        /// Meets chunks that are not for this state.
        func refuse(_ chunks: [Int: [UInt8]]) throws {
            if chunks.isEmpty { return }
            let applier = try DeltaApplier(store)
            let worker = DeltaApplier.Worker(for: applier)
            for (world, chunk) in chunks {
                do {
                    let outcome = try apply(chunk, applier, worker)
                    batch.fail(world, "a delta of another base was taken: \(outcome)")
                } catch let error as StoreError {
                    if error.code != .wrongBase { batch.fail(world, "\(error)") }
                }
            }
        }

        /// Meets chunks that lead to where it is, or to where it was.
        func expectNothingNew(_ chunks: [Int: [UInt8]]) throws {
            let applier = try DeltaApplier(store)
            let worker = DeltaApplier.Worker(for: applier)
            for (world, chunk) in chunks
            where try apply(chunk, applier, worker) != .alreadyApplied {
                batch.fail(world, "an old delta was taken")
            }
        }

        private func apply(
            _ chunk: [UInt8], _ applier: DeltaApplier, _ worker: DeltaApplier.Worker
        ) throws -> DeltaApplier.Outcome {
            try unsafe chunk.withUnsafeBytes {
                try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
            }
        }

        private func expectRows(at cut: Int) {
            for (world, table) in tables.enumerated() {
                let model = batch.models[world][cut]
                let count = batch.places.others.count + model.count { $0 != nil }
                if table.count != count
                    || !zip(batch.places.keys, model).allSatisfy({ table[$0] == $1 })
                {
                    batch.fail(world, "the copy differs at \(cut)")
                }
            }
        }
    }

    /// Lives through worlds and follows them.
    static func check(_ worlds: [World], _ places: Places) throws {
        let size = 64
        for start in stride(from: 0, to: worlds.count, by: size) {
            let batch = try Batch(worlds[start..<min(start + size, worlds.count)], places)
            batch.live()
            let isReversible = start / size % 2 == 0
            // In two steps; from the second cut on; in one step. Each meets deltas of another base.
            var steps = try Copy(batch, at: 0)
            let first = try steps.follow(0, 1, isReversible: isReversible)
            var leap = try Copy(batch, at: 0)
            let long = try leap.follow(0, 2, isReversible: !isReversible)
            var second = try Copy(batch, at: 1)
            let last = try second.follow(1, 2, isReversible: isReversible, refusing: long)
            try steps.follow(1, 2, isReversible: !isReversible, refusing: long)
            try Copy(batch, at: 0).refuse(last)
            try second.expectNothingNew(first)
            // Whatever the way, the same bytes.
            let stores = [batch.store, steps.store, second.store, leap.store]
            let epoch = try #require(stores.map(\.epoch).max())
            let snapshots = try stores.map { store in
                while store.epoch < epoch { store.cut().close() }
                return try store.cut().write(to: ByteArraySink()).bytes
            }
            for snapshot in snapshots.dropFirst() {
                #expect(snapshot == snapshots[0], "the snapshots of worlds from \(start) on differ")
            }
        }
        print("\(worlds.count) worlds")
    }

    @Test func `two keys of one tag, with all that can happen to them`() throws {
        try Self.check(World.all(keys: 2, .full, .either), Self.oneTag)
    }

    @Test func `two keys of one tag, in all orders`() throws {
        try Self.check(World.all(keys: 2, .medium, .all), Self.oneTag)
    }

    @Test func `two keys of the tag that unused slots have`() throws {
        try Self.check(World.all(keys: 2, .medium, .all), Self.lastTag)
    }

    @Test func `a key that looks like an unused slot`() throws {
        #expect(Self.zero.keys[0] == 0)
        try Self.check(World.all(keys: 2, .medium, .all), Self.zero)
    }

    @Test func `two keys of one hash`() throws {
        try Self.check(World.all(keys: 2, .medium, .all), Self.oneHash)
    }

    @Test func `two keys in a page that they split`() throws {
        try Self.check(World.all(keys: 2, .medium, .either), Self.splitPage)
    }

    @Test func `three keys of one tag, two of them of one hash`() throws {
        try Self.check(World.all(keys: 3, .least, .either), Self.oneHash)
    }

    @Test func `three keys in two partitions`() throws {
        try Self.check(World.all(keys: 3, .least, .either), Self.twoPartitions)
    }

    @Test func `four keys of two tags, coming and going`() throws {
        try Self.check(World.all(keys: 4, .comingAndGoing, .either), Self.lastTag)
    }
}
