import Caesura
import CaesuraFormat

enum DeltaOrigin: String, SchemaEnum { case none = "", de = "DE", br = "BR" }
enum DeltaLevel: Int16, SchemaEnum { case low = -1, high = 5 }

@Schema("home")
struct DeltaHome: Equatable {
    @Field(1) var zip: UInt16?
    @Field(2) var photo: [UInt8]
}

/// A row of each type and each kind of nesting.
@Schema("entry")
struct DeltaEntry: Equatable {
    @Field(1) var flag: Bool
    @Field(2) var cart: Double
    @Field(3) var wide: Int128
    @Field(4) var path: [UInt32]
    @Field(5) var level: DeltaLevel
    @Field(6) var origin: DeltaOrigin
    @Field(7) var home: DeltaHome?
    @Field(8) var name: String
    @Field(9) var bits: [Bool]?
}

@Schema("peer")
struct DeltaPeer: TableKey {
    @Field(1) var name: String
    @Field(2) var id: UInt32
}

@Schema("session")
struct DeltaSession: Equatable {
    @Field(1) var user: UInt64
    @Field(2) var token: String
    @Field(3) var seen: Int64?
}

/// A store of some rows, a delta of which is applied to a copy.
struct DeltaBase {
    let snapshot: [UInt8]
    let epoch: UInt64
    let digest: UInt64
    let rowCounts: [Int]
    let layouts: [RegionLayout]
    /// What a copy writes, for each number of partition bits that copies have.
    private(set) var bodies: [[[UInt8]]] = []
    var seeds: [[UInt8]] = []

    static let names = ["entries", "sessions"]

    static let shared: DeltaBase = {
        do { return try DeltaBase() } catch { fatalError("no base: \(error)") }
    }()

    private init() throws {
        var configuration = Store.Configuration()
        configuration.partitionBits = 2
        configuration.hashKey = HashKey(k0: 1, k1: 2)
        let store = Store(configuration)
        let (entries, sessions) = try Self.declare(in: store)
        for index in 0..<40 { entries[Self.peer(index)] = Self.entry(index) }
        for index in 0..<150 as Range<UInt64> {
            sessions[index] = DeltaSession(
                user: index, token: "token \(index * 7919)", seen: index % 3 == 0 ? 7 : nil)
        }
        // Outside the page, and more than a delta can carry.
        entries.update(Self.peer(3)) { $0.name = String(repeating: "é", count: 800) }
        entries.update(Self.peer(4)) { $0.name = String(repeating: "x", count: 66_000) }
        let cut = store.cut()
        snapshot = try cut.write(to: ByteArraySink()).bytes
        epoch = cut.epoch.rawValue
        rowCounts = [40, 150]
        layouts = try store.regions.map { try RegionLayout($0) }
        var reader = StreamReader()
        reader.push(snapshot)
        var digest: UInt64 = 0
        while let item = try reader.next() {
            if case .end(let end) = item { digest = end.digest }
        }
        self.digest = digest
        self.bodies = (0..<4).map { chunkBodies(copy(partitionBits: $0)) }
        try addSeeds(cut, store, entries, sessions)
    }

    static func declare(
        in store: Store
    ) throws -> (Table<DeltaPeer, DeltaEntry>, Table<UInt64, DeltaSession>) {
        (
            try store.table(names[0], key: DeltaPeer.self, row: DeltaEntry.self),
            try store.table(names[1], key: UInt64.self, row: DeltaSession.self)
        )
    }

    private static func peer(_ index: Int) -> DeltaPeer {
        DeltaPeer(name: "peer \(index % 5)", id: UInt32(index))
    }

    static func entry(_ index: Int) -> DeltaEntry {
        DeltaEntry(
            flag: index % 2 == 0, cart: Double(index) / 4, wide: Int128(index) << 70,
            path: (0..<UInt32(index % 4)).map { $0 * 1_000 + UInt32(index) },
            level: index % 2 == 0 ? .low : .high, origin: index % 3 == 0 ? .de : .none,
            home: index % 2 == 0
                ? DeltaHome(zip: index % 4 == 0 ? 7 : nil, photo: [1, 2, UInt8(index)]) : nil,
            name: "the name of \(index)", bits: index % 5 == 0 ? [true, false] : nil)
    }

    /// Deltas of single changes and of many, each from the same base.
    private mutating func addSeeds(
        _ base: Cut, _ store: Store, _ entries: Table<DeltaPeer, DeltaEntry>,
        _ sessions: Table<UInt64, DeltaSession>
    ) throws {
        let peer = Self.peer
        let changes: [() -> Void] = [
            { entries.update(peer(1)) { $0.cart = -0.0 } },
            { entries.update(peer(2)) { $0.home = nil } },
            { entries.update(peer(5)) { $0.home = DeltaHome(zip: 9, photo: []) } },
            { entries.update(peer(7)) { $0.name = "the names of 7" } },
            { entries.update(peer(8)) { $0.path = [0, 1_008, 5] } },
            { entries.update(peer(10)) { $0.bits = [true] } },
            { entries.update(peer(11)) { $0.origin = .br } },
            { entries.update(peer(12)) { $0.level = .high } },
            { entries.remove(peer(3)) },
            { entries[peer(50)] = Self.entry(50) },
            { sessions.update(0) { $0.seen = nil } },
            { sessions.update(1) { $0.token = "token 7918" } },
            {
                for index in 0..<120 as Range<UInt64> {
                    sessions.update(index) { $0.user += 1 }
                }
            },
            { for index in 30..<60 as Range<UInt64> { sessions.remove(index) } },
            {
                for index in 200..<240 as Range<UInt64> {
                    sessions[index] = DeltaSession(user: 1, token: "", seen: 3)
                }
            },
        ]
        for (index, change) in changes.enumerated() {
            change()
            try addSeeds(base, store.cut(), isReversible: index % 2 == 1)
        }
        // A row that is updated, and one inserted that the base has: the number of rows is that of the base.
        sessions.remove(5)
        let without = store.cut()
        sessions[5] = DeltaSession(user: 5, token: "", seen: nil)
        sessions.update(6) { $0.user += 1 }
        try addSeeds(without, store.cut(), isReversible: false)
        var contradiction = seeds.removeLast()
        contradiction.replaceSubrange(6..<8, with: [UInt8(rowCounts[1] & 0x7F) | 0x80, 1])
        seeds.append(contradiction)
    }

    private mutating func addSeeds(_ base: Cut, _ target: Cut, isReversible: Bool) throws {
        let source = try DeltaSource(
            from: base, to: target, baseDigest: digest, isReversible: isReversible)
        let worker = DeltaSource.Worker(for: source)
        while let job = try source.next() {
            try unsafe source.encode(
                job, with: worker,
                emit: { (header, bytes) throws(StoreError) in
                    let count = UInt16(header.rowCount)
                    let control = [
                        UInt8(header.region), UInt8(header.range.prefixBits), 0,
                        UInt8(truncatingIfNeeded: count), UInt8(count >> 8),
                    ]
                    // The harness writes the digest.
                    unsafe seeds.append(control + bytes[(header.headerLength + 8)...])
                }, refused: { $0 })
        }
    }

    /// A store that holds the base.
    func copy(partitionBits: Int) -> Store {
        var configuration = Store.Configuration()
        configuration.partitionBits = partitionBits
        let store = Store(configuration)
        restore(snapshot, into: store)
        return store
    }
}

func restore(_ bytes: [UInt8], into store: Store) {
    var restorer = StreamRestorer(into: store)
    do {
        try restorer.push(bytes)
        try restorer.finish()
    } catch {
        fatalError("what a store wrote cannot be restored: \(error)")
    }
}

/// What a store writes, without the epochs in the headers.
func chunkBodies(_ store: Store) -> [[UInt8]] {
    guard let bytes = try? store.cut().write(to: ByteArraySink()).bytes else {
        fatalError("a store cannot be written")
    }
    var reader = StreamReader()
    reader.push(bytes)
    var bodies: [[UInt8]] = []
    do throws(FormatError) {
        while let item = try reader.next() {
            if case .chunk(let chunk) = item {
                unsafe bodies.append([UInt8](chunk.bytes[chunk.header.headerLength...]))
            }
        }
    } catch {
        fatalError("what a store wrote cannot be read: \(error)")
    }
    return bodies
}

extension FuzzTarget {
    /// The input is a region, a range (2 bytes), a number of changes (2 bytes) and the body of a delta chunk
    /// behind its digest; the base is a store of some rows.
    ///
    /// Like that of manifests it is in `Fuzz/run` only, for the store that it needs.
    static let delta = unsafe FuzzTarget(
        name: "delta",
        seeds: { DeltaBase.shared.seeds },
        run: { input in
            guard input.count > 5 else { return }
            let base = DeltaBase.shared
            let chunk = chunk(unsafe [UInt8](input), base)
            unsafe chunk.withUnsafeBytes { buffer in
                guard let chunk = try? unsafe VerifiedChunk(verifying: buffer) else { return }
                let layout = base.layouts[chunk.header.region]
                let batch = DeltaBatch(leaves: layout.leaves)
                var decoder = ChunkDecoder()
                // Most inputs end here, without a store.
                let decodes =
                    (try? decoder.decode(delta: chunk, layout: layout, into: batch)) != nil
                law(decodes || batch.changeCount == 0, "a refused delta leaves no changes")
                if decodes { check(chunk, batch, base) }
            }
        })

    private static func check(_ chunk: VerifiedChunk, _ batch: DeltaBatch, _ base: DeltaBase) {
        let bits = Int(batch.baseRowCount & 3)
        let store = base.copy(partitionBits: bits)
        guard let applier = try? DeltaApplier(store) else {
            fatalError("a restored store takes no delta")
        }
        let worker = DeltaApplier.Worker(for: applier)
        guard (try? applier.apply(chunk, with: worker)) != nil else {
            law(
                chunkBodies(store) == base.bodies[bits],
                "a chunk is applied whole or not at all")
            law((try? DeltaApplier(store)) != nil, "a chunk that was refused is no write")
            return
        }
        let name = DeltaBase.names[chunk.header.region]
        law(
            store.rowCount(of: name)
                == base.rowCounts[chunk.header.region] - batch.removed.count
                + batch.inserted.rowCount,
            "rows were inserted and removed as the delta says")
        law(
            (try? applier.apply(chunk, with: worker)) == .alreadyApplied,
            "a chunk is applied once")
        var end = StreamEnd(regionCount: 2, baseDigest: base.digest)
        end.add(chunk.header)
        law(
            (try? applier.finish(end, at: chunk.header.targetEpoch)) != nil,
            "a delta of one chunk ends")
        law((try? DeltaApplier(store)) != nil, "what has taken a delta takes another")
        // The rows are such as the Swift types can hold, and come back.
        guard (try? DeltaBase.declare(in: store)) != nil else {
            fatalError("a delta has brought rows that the types cannot hold")
        }
        guard let bytes = try? store.cut().write(to: ByteArraySink()).bytes else {
            fatalError("a store cannot be written")
        }
        let again = Store()
        guard (try? DeltaBase.declare(in: again)) != nil else { fatalError("no tables") }
        restore(bytes, into: again)
        law(again.rowCount(of: name) == store.rowCount(of: name), "all rows come back")
    }

    /// The chunk that an input stands for.
    private static func chunk(_ input: [UInt8], _ base: DeltaBase) -> [UInt8] {
        let region = Int(input[0]) % 2
        let prefixBits = UInt64(input[1] % 9)
        var body = ByteWriter()
        body.append(littleEndian: base.digest)
        body.append(contentsOf: Array(input[5...]))
        var writer = ByteWriter()
        writer.append(contentsOf: [0xCA, 0xE5, 0x52, 0x0A, 1, 0, 3, 0, 0])
        writer.append(littleEndian: base.layouts[region].wireFingerprint.rawValue)
        writer.append(littleEndian: UInt64(0))
        let varints: [UInt64] = [
            UInt64(body.count), UInt64(body.count), UInt64(region), 0, prefixBits,
            UInt64(input[2]) & (1 << prefixBits - 1), 0, base.epoch, base.epoch + 3,
            UInt64(input[3]) | UInt64(input[4]) << 8, 0,
        ]
        for varint in varints { writer.append(varint: varint) }
        var bytes = writer.array + Array(repeating: 0, count: 8)
        bytes[5] = UInt8(bytes.count)
        bytes += body.array
        Forgery.fitChecksums(&bytes)
        return bytes
    }
}
