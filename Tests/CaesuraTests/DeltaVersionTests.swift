import CaesuraFormat
import Testing

@testable import Caesura

/// Deltas of one version of a schema, applied to stores of programs of another.
@Suite struct DeltaVersionTests {
    typealias Random = TableModelTests.Random

    /// A store of a program, with regions of every kind.
    final class Program<Row: SchemaStruct & Hashable> {
        let store: Store
        let table: Table<UInt64, Row>
        let log: Log<Row>
        let cell: Cell<Row>

        init(_ initial: Row, partitionBits: Int = 1) throws {
            var configuration = Store.Configuration()
            configuration.partitionBits = partitionBits
            store = Store(configuration)
            table = try store.table("table", key: UInt64.self, row: Row.self)
            log = try store.log("log", row: Row.self)
            cell = try store.cell("cell", initial: initial)
        }

        func restore(_ source: Store) throws {
            var restorer = StreamRestorer(into: store)
            try restorer.push(source.cut().write(to: ByteArraySink()).bytes)
            try restorer.finish()
        }

        func isSame(as other: Program, keys: Range<UInt64>) -> Bool {
            // As values, in which a NaN is a NaN.
            func value(_ row: Row?) -> Value? { row.map { Row.value(of: $0) } }
            return table.count == other.table.count
                && keys.allSatisfy { value(table[$0]) == value(other.table[$0]) }
                && log.positions == other.log.positions
                && log.positions.allSatisfy { value(log[$0]) == value(other.log[$0]) }
                && value(cell.value) == value(other.cell.value)
        }
    }

    static let keys: Range<UInt64> = 0..<150

    /// Follows a program of one version with one of another, and compares it with a restore of the whole after each
    /// delta, and with what comes back from both.
    func follow<Source: SchemaStruct & Hashable, Target: SchemaStruct & Hashable>(
        _ make: (UInt64) -> Source, _ mix: (inout Source, Source, UInt64) -> Void,
        with initial: Target, isReadableBack: Bool, rounds: Int = 25
    ) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        let source = try Program(make(1))
        for key in Self.keys where key % 2 == 0 { source.table[key] = make(key) }
        source.log.append(contentsOf: Self.keys.map(make))
        let follower = try Program(initial, partitionBits: 3)
        try follower.restore(source.store)
        var base = source.store.cut()
        // The cut before was restored; this one has the same rows.
        var digest = try #require(follower.store.ancestor).digest
        var epoch = try #require(follower.store.ancestor).epoch
        for round in 0..<rounds {
            for _ in 0..<[1, 4, 40].randomElement(using: &random)! {
                let key = UInt64.random(in: Self.keys, using: &random)
                let other = make(random.next() % 10_000)
                switch Int.random(in: 0..<10, using: &random) {
                case 0: source.table[key] = nil
                case 1: source.table[key] = other
                case 2: source.log.append(other)
                case 3: source.cell.value = other
                case 4: source.log.trim(before: source.log.positions.lowerBound + 1)
                default:
                    guard var row = source.table[key] else { continue }
                    mix(&row, other, random.next())
                    source.table[key] = row
                }
            }
            let cut = source.store.cut()
            let delta = try DeltaSource(
                from: base, as: epoch, to: cut, baseDigest: digest)
            let applier = try DeltaApplier(follower.store)
            let worker = DeltaSource.Worker(for: delta)
            let decoding = DeltaApplier.Worker(for: applier)
            var end = delta.totals
            while let job = try delta.next() {
                try unsafe delta.encode(
                    job, with: worker,
                    emit: { (header, bytes) throws(any Error) in
                        end.add(header)
                        let outcome = try unsafe applier.apply(
                            VerifiedChunk(verifying: bytes), with: decoding)
                        #expect(outcome == .applied)
                    }, refused: { $0 })
            }
            try applier.finish(end, at: cut.epoch.rawValue)
            (base, digest, epoch) = (cut, end.digest, cut.epoch.rawValue)

            let fresh = try Program(initial)
            try fresh.restore(source.store)
            #expect(follower.isSame(as: fresh, keys: Self.keys), "round \(round)")
            if !isReadableBack { continue }
            let back = try Program(make(1))
            try back.restore(follower.store)
            #expect(back.isSame(as: source, keys: Self.keys), "round \(round), read back")
        }
        base.close()
        follower.store.cut().close()
        #expect(follower.store.memoryUse.retained == 0)
    }

    @Test func `a newer program follows an older one`() throws {
        try follow(
            Version1.Session.init, Version1.Session.mix, with: Version2.Session(5),
            isReadableBack: false)
        try follow(
            Version2.Session.init, Version2.Session.mix, with: Version3.Session(5),
            isReadableBack: false)
        try follow(
            Version1.Session.init, Version1.Session.mix, with: Version3.Session(5),
            isReadableBack: false)
    }

    @Test func `an older program follows a newer one, and loses nothing of it`() throws {
        try follow(
            Version3.Session.init, Version3.Session.mix,
            with: SchemaVersionTests.StatusOnly(status: .active, user: 3), isReadableBack: true)
        try follow(
            Version3.Session.init, Version3.Session.mix, with: Version2.Session(5),
            isReadableBack: true)
    }

    @Test func `every widening and every new field of an optional is followed`() throws {
        try follow(
            Narrow.init, Narrow.mix, with: Wide(Narrow(3)), isReadableBack: false, rounds: 60)
    }

    // MARK: Types that differ in all that is resolved

    @Schema("box")
    struct NarrowBox: Hashable {
        @Field(1) var count: UInt8
        @Field(2) var name: String?
    }

    @Schema("lid")
    struct Lid: Hashable {
        @Field(1) var label: String = "lid"
        @Field(2) var size: Int32?
    }

    @Schema("box")
    struct WideBox: Hashable {
        @Field(3) var tag: String = "a tag that is new"
        @Field(4) var lid: DeltaVersionTests.Lid? = nil
        @Field(5) var other: DeltaVersionTests.Lid? = DeltaVersionTests.Lid(label: "other", size: 7)
        @Field(2) var name: String?
        @Field(1) var count: Int16?
        @Field(6) var key: UInt128 = 5
    }

    @Schema("numbers")
    struct Narrow: Hashable {
        @Field(1) var a: Int8
        @Field(2) var b: UInt8
        @Field(3) var c: Int16
        @Field(4) var d: UInt32
        @Field(5) var e: Int64
        @Field(6) var f: Float16
        @Field(7) var g: Float
        @Field(8) var h: Float16
        @Field(9) var gone: UInt64
        @Field(10) var goneText: String
        @Field(11) var box: DeltaVersionTests.NarrowBox?
        @Field(12) var list: [UInt16]
    }

    @Schema("numbers", version: 2, retired: [9, "gone", 10, "goneText"])
    struct Wide: Hashable {
        @Field(12) var list: [UInt16]
        @Field(11) var box: DeltaVersionTests.WideBox?
        @Field(8) var h: Double
        @Field(7) var g: Double
        @Field(6) var f: Float
        @Field(5) var e: Int128
        @Field(4) var d: Int64
        @Field(3) var c: Int32?
        @Field(2) var b: Int16
        @Field(1) var a: Int64
        @Field(13, since: 2) var more: String = "more"
    }
}

extension DeltaVersionTests.Narrow {
    init(_ seed: UInt64) {
        let text = Version1.Session.text(seed, "text")
        self.init(
            a: Int8(truncatingIfNeeded: seed &* 31), b: UInt8(truncatingIfNeeded: seed &* 7),
            c: Int16(truncatingIfNeeded: seed &* 12_345),
            d: UInt32(truncatingIfNeeded: seed &* 99_991),
            e: Int64(bitPattern: seed &* 0x9E37_79B9_7F4A_7C15),
            f: seed % 11 == 0 ? Float16(nan: 5, signaling: false) : Float16(seed % 2_000),
            g: seed % 13 == 0 ? -Float.infinity : Float(seed) * 1.1,
            h: seed % 17 == 0 ? -0.0 : Float16(seed % 300) / 8, gone: seed &* 77,
            goneText: Version1.Session.text(seed &+ 30, "gone"),
            box: seed % 3 == 0
                ? nil
                : DeltaVersionTests.NarrowBox(
                    count: UInt8(seed % 200), name: seed % 4 == 0 ? nil : text),
            list: (0..<seed % 6).map { UInt16($0 &* 3) })
    }

    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        if mask & 1 != 0 { row.a &+= 1 }
        if mask & 2 != 0 { row.b = other.b }
        if mask & 4 != 0 { row.c &-= 300 }
        if mask & 8 != 0 { row.d &+= 70_000 }
        if mask & 16 != 0 { row.e &+= 1 }
        if mask & 32 != 0 { row.f = other.f }
        if mask & 64 != 0 { row.g = other.g }
        if mask & 128 != 0 { row.h = other.h }
        if mask & 256 != 0 { row.gone &+= 1 }
        if mask & 512 != 0 { row.goneText += "!" }
        if mask & 0xC00 == 0xC00 { row.box = other.box }
        if mask & 0x1000 != 0 { row.box?.count = other.box?.count ?? 3 }
        if mask & 0x2000 != 0 { row.box?.name = other.box?.name }
        if mask & 0x4000 != 0 { row.list += [9] }
    }
}

extension DeltaVersionTests.Wide {
    init(_ old: DeltaVersionTests.Narrow) {
        self.init(
            list: old.list,
            box: old.box.map { .init(name: $0.name, count: Int16($0.count)) }, h: Double(old.h),
            g: Double(old.g), f: Float(old.f), e: Int128(old.e), d: Int64(old.d), c: Int32(old.c),
            b: Int16(old.b), a: Int64(old.a))
    }
}

extension Version1.Session {
    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        if mask & 1 != 0 { row.hits &+= 3 }
        if mask & 2 != 0 { row.token = other.token }
        if mask & 4 != 0 { row.country = other.country }
        if mask & 24 == 8 { row.address = other.address }
        if mask & 32 != 0 { row.address?.city += "?" }
        if mask & 64 != 0 { row.status = other.status }
        if mask & 128 != 0 { row.score = other.score }
    }
}

extension Version2.Session {
    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        if mask & 1 != 0 { row.visits &+= 3 }
        if mask & 2 != 0 { row.note = other.note }
        if mask & 4 != 0 { row.plan = other.plan }
        if mask & 24 == 8 { row.address = other.address }
        if mask & 32 != 0 { row.address?.zip = other.place.zip }
        if mask & 64 != 0 { row.status = other.status }
        if mask & 128 != 0 { row.place = other.place }
    }
}

extension Version3.Session {
    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        if mask & 1 != 0 { row.visits &+= 3 }
        if mask & 2 != 0 { row.note = other.note }
        if mask & 4 != 0 { row.tags = other.tags }
        if mask & 24 == 8 { row.address = other.address }
        if mask & 32 != 0 { row.address?.notes += [4] }
        if mask & 64 != 0 { row.status = other.status }
        if mask & 128 != 0 { row.home = other.home }
        if mask & 256 != 0 { row.place.size &+= 1 }
    }
}
