import CaesuraFormat
import Foundation
import Testing

@testable import Caesura

/// Streams that programs of each version of a schema have written, on file since: each is read by every version.
///
/// Files are never written again. A version that ships gets one of its own.
@Suite struct GoldenVersionTests {
    typealias Program = DeltaVersionTests.Program

    /// The chunks of a file, one a line in hexadecimal.
    private static func chunks(_ name: String) throws -> [[UInt8]] {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Golden/\(name).hex")
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
            let digits = line.compactMap(\.hexDigitValue)
            return stride(from: 0, to: digits.count - 1, by: 2).map {
                UInt8(digits[$0] << 4 | digits[$0 + 1])
            }
        }
    }

    /// A program of a version that has restored a stream on file, and then the deltas.
    private static func program<Row>(
        _ initial: Row, reading names: String...
    ) throws -> Program<Row> {
        let program = try Program(initial)
        var restorer = StreamRestorer(into: program.store)
        for chunk in try chunks(names[0]) { try restorer.push(chunk) }
        try restorer.finish()
        for name in names.dropFirst() {
            let chunks = try chunks(name)
            let applier = try DeltaApplier(program.store)
            let worker = DeltaApplier.Worker(for: applier)
            for chunk in chunks.dropLast() {
                try unsafe chunk.withUnsafeBytes {
                    let outcome = try unsafe applier.apply(
                        VerifiedChunk(verifying: $0), with: worker)
                    #expect(outcome == .applied)
                }
            }
            let last = try #require(chunks.last)
            try unsafe last.withUnsafeBytes {
                var decoder = ChunkDecoder()
                let chunk = try unsafe VerifiedChunk(verifying: $0)
                try applier.finish(decoder.decode(end: chunk), at: chunk.header.targetEpoch)
            }
        }
        return program
    }

    private static func check<Row>(
        _ program: Program<Row>, table: [UInt64: Row], log: [Row], cell: Row,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(program.table.count == table.count, sourceLocation: sourceLocation)
        for (key, row) in table {
            #expect(program.table[key] == row, sourceLocation: sourceLocation)
        }
        #expect(
            program.log.positions.map { program.log[$0] } == log, sourceLocation: sourceLocation)
        #expect(program.cell.value == cell, sourceLocation: sourceLocation)
    }

    // MARK: What is on file

    private static let ann1 = Version1.Session(
        user: 1, token: "ann", hits: 4_000_000_000, country: "NO",
        address: .init(city: "Ålesund"), status: .active, score: 0.25)
    private static let bob1 = Version1.Session(
        user: 2, token: "", hits: 0, country: "", address: nil, status: .blocked, score: -1)

    private static let ann2 = Version2.Session(
        user: 1, token: "ann", visits: 1 << 40, address: .init(city: "Ålesund", zip: "6002"),
        status: .frozen, score: 0.1, note: "two", plan: nil, place: .init(city: "P", zip: "Z"))

    private static let ann3 = Version3.Session(
        tags: [1, 2], home: .init(notes: [7], city: "H", zip: "1", size: 5), user: 1, token: "ann",
        visits: 9, address: .init(notes: [], city: "Ålesund", zip: "6002", size: -9),
        status: .active, score: 1e300, note: "three",
        place: .init(notes: [65_535], city: "P", zip: "Z", size: .min))

    @Test func `what version 1 wrote is read by every version`() throws {
        Self.check(
            try Self.program(Self.bob1, reading: "session-1"), table: [1: Self.ann1, 2: Self.bob1],
            log: [Self.bob1, Self.ann1], cell: Self.ann1)
        let ann = Version2.Session(
            user: 1, token: "ann", visits: 4_000_000_000, address: .init(city: "Ålesund"),
            status: .active, score: 0.25)
        let bob = Version2.Session(
            user: 2, token: "", visits: 0, address: nil, status: .blocked, score: -1)
        Self.check(
            try Self.program(bob, reading: "session-1"), table: [1: ann, 2: bob], log: [bob, ann],
            cell: ann)
        let latest = Version3.Session(
            user: 1, token: "ann", visits: 4_000_000_000, address: .init(city: "Ålesund"),
            status: .active, score: 0.25)
        let program = try Self.program(Self.ann3, reading: "session-1")
        #expect(program.table[1] == latest && program.cell.value == latest)
    }

    @Test func `a delta of version 1 is applied by every version`() throws {
        // Ann has come once more and moved, Bob is gone, and Cid has come.
        var ann = Self.ann1
        ann.hits += 1
        ann.address = nil
        let cid = Version1.Session(
            user: 3, token: "cid", hits: 1, country: "SE", address: .init(city: "C"),
            status: .blocked, score: 2)
        Self.check(
            try Self.program(Self.bob1, reading: "session-1", "session-1-delta"),
            table: [1: ann, 3: cid], log: [Self.ann1, cid], cell: cid)
        let newAnn = Version3.Session(
            user: 1, token: "ann", visits: 4_000_000_001, address: nil, status: .active, score: 0.25
        )
        let newCid = Version3.Session(
            user: 3, token: "cid", visits: 1, address: .init(city: "C"), status: .blocked, score: 2)
        let program = try Self.program(Self.ann3, reading: "session-1", "session-1-delta")
        #expect(program.table[1] == newAnn && program.table[3] == newCid)
        #expect(program.table.count == 2 && program.cell.value == newCid)
    }

    @Test func `what version 2 wrote is read by itself and by version 3`() throws {
        Self.check(
            try Self.program(Self.ann2, reading: "session-2"), table: [1: Self.ann2],
            log: [Self.ann2], cell: Self.ann2)
        let latest = Version3.Session(
            user: 1, token: "ann", visits: 1 << 40, address: .init(city: "Ålesund", zip: "6002"),
            status: .frozen, score: 0.1, note: "two", place: .init(city: "P", zip: "Z"))
        Self.check(
            try Self.program(Self.ann3, reading: "session-2"), table: [1: latest], log: [latest],
            cell: latest)
        // Version 1 has narrower numbers.
        #expect(throws: (any Error).self) {
            try Self.program(Self.bob1, reading: "session-2")
        }
    }

    @Test func `what version 3 wrote is kept by version 2, and read by version 3 again`() throws {
        Self.check(
            try Self.program(Self.ann3, reading: "session-3"), table: [1: Self.ann3],
            log: [Self.ann3], cell: Self.ann3)
        let older = try Self.program(Self.ann2, reading: "session-3")
        let read = Version2.Session(
            user: 1, token: "ann", visits: 9, address: .init(city: "Ålesund", zip: "6002"),
            status: .active, score: 1e300, note: "three", place: .init(city: "P", zip: "Z"))
        Self.check(older, table: [1: read], log: [read], cell: read)
        older.table.update(1) { $0.visits += 1 }
        let back = try Program(Self.ann3)
        try back.restore(older.store)
        var row = Self.ann3
        row.visits += 1
        Self.check(back, table: [1: row], log: [Self.ann3], cell: Self.ann3)
    }
}
