import CaesuraFormat
import Testing

@testable import Caesura

/// Deltas that are resolved: of keys of several fields, of large values, of many leaves, of logs that are undone, of bytes
/// that nobody vouches for.
@Suite struct ResolvedDeltaTests {
    typealias Delta = DeltaAdoptionTests.Delta
    @Schema("place")
    struct Place: TableKey, Hashable {
        @Field(1) var zone: String
        @Field(2) var number: UInt32
    }
    @Schema("item")
    struct Old: Hashable {
        @Field(1) var gone: String
        @Field(2) var kept: [UInt8]
        @Field(3) var size: UInt8
        @Field(4) var text: String
        @Field(5) var inner: ResolvedDeltaTests.Inner
    }
    @Schema("inner")
    struct Inner: Hashable {
        @Field(1) var a: String
        @Field(2) var b: UInt8?
    }
    @Schema("item", version: 2, retired: [1, "gone"])
    struct New: Hashable {
        @Field(6, since: 2) var more: [UInt32] = [1, 2, 3]
        @Field(5) var inner: ResolvedDeltaTests.NewInner?
        @Field(4) var text: String?
        @Field(3) var size: UInt32
        @Field(2) var kept: [UInt8]
    }
    @Schema("inner", version: 2)
    struct NewInner: Hashable {
        @Field(3) var c: String = "see"
        @Field(2) var b: Int64?
        @Field(1) var a: String?
    }
    static func large(_ seed: Int, _ size: Int) -> String {
        String(repeating: "\(seed)-", count: size)
    }
    static func row(_ seed: Int) -> Old {
        Old(
            gone: seed % 5 == 0 ? large(seed, 50_000) : "g",
            kept: Array(large(seed, seed % 7 == 0 ? 700_000 : 9).utf8), size: UInt8(seed % 256),
            text: seed % 3 == 0 ? large(seed, 60_000) : "t\(seed)",
            inner: Inner(a: large(seed, seed % 11 == 0 ? 70_000 : 1), b: seed % 2 == 0 ? nil : 3))
    }
    static func key(_ index: Int) -> Place {
        Place(zone: index % 9 == 0 ? large(index, 40_000) : "z\(index % 4)", number: UInt32(index))
    }

    /// Follows a source three times, with the memory of one worker.
    func follow<Row: SchemaStruct & Hashable>(as type: Row.Type) throws {
        let source = Store()
        let rows = try source.table("rows", key: Place.self, row: Old.self)
        for index in 0..<60 { rows[Self.key(index)] = Self.row(index) }
        let store = Store()
        let table = try store.table("rows", key: Place.self, row: type)
        var worker: DeltaApplier.Worker?
        for round in 0..<3 {
            if round == 1 {
                // With what the store itself saves between, which it has as it comes.
                let bytes = try store.cut().write(to: ByteArraySink()).bytes
                store.removeAll()
                var restorer = StreamRestorer(into: store)
                try restorer.push(bytes)
                try restorer.finish()
            }
            store.removeAll()
            var base = source.cut()
            var restorer = StreamRestorer(into: store)
            try restorer.push(base.write(to: ByteArraySink()).bytes)
            try restorer.finish()
            for step in 1..<6 {
                for index in stride(from: step, to: 70, by: 3) {
                    let key = Self.key(index)
                    switch (index + step + round) % 5 {
                    case 0: rows[key] = nil
                    case 1: rows[key] = Self.row(index + step)
                    case 2:
                        rows.update(key) {
                            $0.text += "+"
                            $0.gone += "!"
                        }
                    case 3: rows.update(key) { $0.kept += [1] }
                    default: rows.update(key) { $0.inner.b = UInt8(index) }
                    }
                }
                let cut = source.cut()
                let ancestor = try #require(store.ancestor)
                let delta = try Delta(base, as: ancestor.epoch, to: cut, ancestor.digest)
                let applier = try DeltaApplier(store)
                let used = worker ?? DeltaApplier.Worker(for: applier)
                worker = used
                try delta.apply(to: applier, with: used)
                try applier.finish(delta.end, at: delta.epoch)
                base.close()
                base = cut
                let fresh = Store()
                let other = try fresh.table("rows", key: Place.self, row: type)
                var restorer = StreamRestorer(into: fresh)
                try restorer.push(cut.write(to: ByteArraySink()).bytes)
                try restorer.finish()
                #expect(table.count == other.count)
                for index in 0..<80 {
                    let key = Self.key(index)
                    #expect(table[key] == other[key], "round \(round), step \(step), row \(index)")
                }
            }
            base.close()
        }
        store.removeAll()
        store.cut().close()
        #expect(store.memoryUse.retained == 0)
    }

    @Test func `large values go to the leaves and rows that they are of`() throws {
        try follow(as: New.self)
        try follow(as: Old.self)
    }

    @Test func `more leaves are followed than a word has bits`() throws {
        try DeltaVersionTests().follow(
            Many.init, Many.mix, with: Others(a: .init(b: 1)), isReadableBack: false)
    }
}

extension ResolvedDeltaTests {
    @Schema("log")
    struct LogRow: Hashable { @Field(1) var x: UInt8 }

    @Schema("log", version: 2)
    struct WideLogRow: Hashable { @Field(1) var x: UInt16 }

    @Schema("nine")
    struct Nine: Hashable {
        @Field(1) var a: UInt8
        @Field(2) var b: UInt8
        @Field(3) var c: String
        @Field(4) var d: UInt8
        @Field(5) var e: Int16?
        @Field(6) var f: UInt8
        @Field(7) var g: UInt8
        @Field(8) var h: [UInt8]
    }

    @Schema("nine", version: 2, retired: [6, 7])
    struct Eleven: Hashable {
        @Field(9) var i: String = "eye"
        @Field(8) var h: [UInt8] = []
        @Field(5) var e: Int64?
        @Field(4) var d: UInt16 = 0
        @Field(3) var c: String? = nil
        @Field(2) var b: UInt8
        @Field(10) var j: Bool = true
        @Field(1) var a: UInt8?
    }

    @Schema("many")
    struct Many: Hashable {
        @Field(1) var a: ResolvedDeltaTests.Nine
        @Field(2) var b: ResolvedDeltaTests.Nine?
        @Field(3) var c: ResolvedDeltaTests.Nine?
        @Field(4) var d: ResolvedDeltaTests.Nine?
        @Field(5) var e: ResolvedDeltaTests.Nine?
        @Field(6) var f: ResolvedDeltaTests.Nine?
        @Field(7) var g: ResolvedDeltaTests.Nine?
        @Field(8) var h: ResolvedDeltaTests.Nine?
        @Field(9) var i: ResolvedDeltaTests.Nine?
    }

    @Schema("many", version: 2, retired: [2, 7])
    struct Others: Hashable {
        @Field(9) var i: ResolvedDeltaTests.Eleven?
        @Field(8) var h: ResolvedDeltaTests.Eleven?
        @Field(6) var f: ResolvedDeltaTests.Eleven?
        @Field(5) var e: ResolvedDeltaTests.Eleven?
        @Field(4) var d: ResolvedDeltaTests.Eleven?
        @Field(3) var c: ResolvedDeltaTests.Eleven?
        @Field(1) var a: ResolvedDeltaTests.Eleven
        @Field(10) var j: ResolvedDeltaTests.Eleven?
    }

    @Test func `a log that was resolved takes the way back`() throws {
        let source = Store()
        let rows = try source.log("rows", row: LogRow.self)
        rows.append(LogRow(x: 1))
        let base = source.cut()
        let store = Store()
        let log = try store.log("rows", row: WideLogRow.self)
        var restorer = StreamRestorer(into: store)
        try restorer.push(base.write(to: ByteArraySink()).bytes)
        try restorer.finish()
        rows.append(LogRow(x: 2))
        let cut = source.cut()
        let ancestor = try #require(store.ancestor)
        let delta = try Delta(base, as: ancestor.epoch, to: cut, ancestor.digest)
        let applier = try DeltaApplier(store)
        let worker = DeltaApplier.Worker(for: applier)
        try delta.apply(to: applier, with: worker)
        try applier.finish(delta.end, at: delta.epoch)
        #expect(log.count == 2)
        let undo = try DeltaApplier(
            store, undoing: delta.end, at: delta.epoch, backTo: ancestor.epoch)
        try delta.apply(to: undo, with: worker)
        try undo.finish(delta.end, at: ancestor.epoch)
        #expect(log.count == 1 && log[0] == WideLogRow(x: 1))
        base.close()
        cut.close()
    }

    /// Applies deltas with random bytes in them to a store of another version and to one of their own.
    func mutate<Source: SchemaStruct & Hashable, Target: SchemaStruct & Hashable>(
        _ make: (UInt64) -> Source, _ mix: (inout Source, Source, UInt64) -> Void,
        as target: Target.Type, rounds: Int
    ) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        let source = Store()
        let rows = try source.table("rows", key: UInt64.self, row: Source.self)
        for key in 0..<12 as Range<UInt64> { rows[key] = make(key) }
        let base = source.cut()
        let snapshot = try base.write(to: ByteArraySink()).bytes
        for key in 0..<12 as Range<UInt64> where key % 3 != 1 {
            var row = rows[key]!
            mix(&row, make(key + 77), random.next())
            rows[key] = row
        }
        rows[100] = make(100)
        rows[4] = nil
        let cut = source.cut()
        func restored() throws -> Store {
            var configuration = Store.Configuration()
            configuration.partitionBits = 0
            return Store(configuration)
        }
        func fill(_ store: Store, _ bytes: [UInt8]) throws {
            var restorer = StreamRestorer(into: store)
            try restorer.push(bytes)
            try restorer.finish()
        }
        let first = try restored()
        try fill(first, snapshot)
        let ancestor = try #require(first.ancestor)
        let delta = try Delta(base, as: ancestor.epoch, to: cut, ancestor.digest)
        let chunk = try #require(
            delta.chunks.filter { $0[6] == 3 }.max { $0.count < $1.count })
        let segments = delta.chunks.filter { $0[6] != 3 }
        base.close()
        cut.close()
        func apply(_ chunk: [UInt8], to store: Store) -> (any Error)? {
            do {
                let applier = try DeltaApplier(store)
                let worker = DeltaApplier.Worker(for: applier)
                for segment in segments {
                    try unsafe segment.withUnsafeBytes {
                        _ = try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
                    }
                }
                try unsafe chunk.withUnsafeBytes {
                    _ = try unsafe applier.apply(VerifiedChunk(verifying: $0), with: worker)
                }
                return nil
            } catch {
                return error
            }
        }
        var taken = 0
        for _ in 0..<rounds {
            var bytes = chunk
            let header = Int(bytes[5])
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: (header + 8)..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
                default: bytes[place] = bytes[place] &+ 1
                }
            }
            func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
                unsafe bytes.withUnsafeBytes { unsafe Checksum.of($0) }
            }
            let bodySum = sum(bytes[header...])
            for index in 0..<8 {
                bytes[17 + index] = UInt8(truncatingIfNeeded: bodySum >> (8 * index))
            }
            let headerSum = sum(bytes[..<(header - 8)])
            for index in 0..<8 {
                bytes[header - 8 + index] = UInt8(truncatingIfNeeded: headerSum >> (8 * index))
            }
            let own = try restored()
            _ = try own.table("rows", key: UInt64.self, row: Source.self)
            try fill(own, snapshot)
            let other = try restored()
            let otherRows = try other.table("rows", key: UInt64.self, row: Target.self)
            try fill(other, snapshot)
            let (ownError, otherError) = (apply(bytes, to: own), apply(bytes, to: other))
            if ownError == nil {
                #expect(otherError == nil)
                taken += 1
            }
            // What is there can be written and read.
            let written = try other.cut().write(to: ByteArraySink()).bytes
            let again = try restored()
            let againRows = try again.table("rows", key: UInt64.self, row: Target.self)
            try fill(again, written)
            func value(_ row: Target?) -> Value? { row.map { Target.value(of: $0) } }
            for key in 0..<110 as Range<UInt64> {
                #expect(value(againRows[key]) == value(otherRows[key]))
            }
            guard ownError == nil, otherError == nil else { continue }
            let ownWritten = try own.cut().write(to: ByteArraySink()).bytes
            let expected = try restored()
            let expectedRows = try expected.table("rows", key: UInt64.self, row: Target.self)
            try fill(expected, ownWritten)
            #expect(expectedRows.count == otherRows.count)
            for key in 0..<110 as Range<UInt64> {
                #expect(value(expectedRows[key]) == value(otherRows[key]), "row \(key)")
            }
        }
        #expect(taken > 0 && taken < rounds)
    }

    @Test func `hostile changes come to what they come to under their own schema`() throws {
        try mutate(
            DeltaVersionTests.Narrow.init, DeltaVersionTests.Narrow.mix,
            as: DeltaVersionTests.Wide.self, rounds: 120)
        try mutate(
            Version3.Session.init, Version3.Session.mix, as: Version2.Session.self, rounds: 120)
        try mutate(
            Version1.Session.init, Version1.Session.mix, as: Version3.Session.self, rounds: 120)
        try mutate(
            Version3.Session.init, Version3.Session.mix, as: SchemaVersionTests.StatusOnly.self,
            rounds: 120)
    }
}

extension ResolvedDeltaTests.Nine {
    init(_ seed: UInt64) {
        let byte = UInt8(truncatingIfNeeded: seed &* 7)
        self.init(
            a: byte, b: byte &* 3, c: Version1.Session.text(seed, "c"), d: byte &* 5,
            e: seed % 3 == 0 ? nil : Int16(seed % 999), f: byte &* 9, g: byte &* 11,
            h: Array(repeating: byte, count: Int(seed % 9)))
    }

    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        if mask & 1 != 0 { row.a &+= 3 }
        if mask & 2 != 0 { row.c = other.c }
        if mask & 4 != 0 { row.d = other.d }
        if mask & 8 != 0 { row.e = other.e }
        if mask & 16 != 0 { row.f &+= 1 }
        if mask & 32 != 0 { row.h += [1] }
    }
}

extension ResolvedDeltaTests.Many {
    private static var optionals: [WritableKeyPath<Self, ResolvedDeltaTests.Nine?>] {
        [\.b, \.c, \.d, \.e, \.f, \.g, \.h, \.i]
    }

    init(_ seed: UInt64) {
        self.init(a: ResolvedDeltaTests.Nine(seed))
        for (index, path) in Self.optionals.enumerated() where (seed >> UInt64(index)) & 1 == 0 {
            self[keyPath: path] = ResolvedDeltaTests.Nine(seed &+ UInt64(index))
        }
    }

    static func mix(_ row: inout Self, _ other: Self, _ mask: UInt64) {
        ResolvedDeltaTests.Nine.mix(&row.a, other.a, mask)
        for (index, path) in optionals.enumerated() {
            let bits = mask >> UInt64(6 * index + 6)
            if bits & 3 == 3 { row[keyPath: path] = other[keyPath: path] }
            guard var nine = row[keyPath: path] else { continue }
            ResolvedDeltaTests.Nine.mix(&nine, other.a, bits >> 2)
            row[keyPath: path] = nine
        }
    }
}
