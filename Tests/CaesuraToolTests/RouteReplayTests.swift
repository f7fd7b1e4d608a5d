import Caesura
import CaesuraRepository
import CaesuraRoutes
import Foundation
import Testing

@testable import CaesuraTool

@Suite struct RouteReplayTests {
    /// Announcements, replacements, withdrawals and a session that ends, in two files that interleave.
    static let table = [
        "TABLE_DUMP2|100|B|10.0.0.1|1|1.0.0.0/8|1 2 {3,4}|IGP|10.0.0.1|0|0||NAG||",
        "TABLE_DUMP2|100|B|10.0.0.1|1|2.0.0.0/8|1 2|EGP|10.0.0.1|0|7|1:2 no-export|AG|9 1.2.3.4|",
        "TABLE_DUMP2|100|B|10.0.0.2|2|1.0.0.0/8|2|IGP|10.0.0.2|0|0||NAG||",
        "TABLE_DUMP2|100|B|2001:db8::1|3|2001:db8::/32|3|IGP|2001:db8::1|0|0||NAG||",
        "TABLE_DUMP2_AP|100|B|10.0.0.3|4|1.0.0.0/8|1|4|IGP|10.0.0.3|0|0||NAG||",
        "TABLE_DUMP2_AP|100|B|10.0.0.3|4|1.0.0.0/8|2|4 4|IGP|10.0.0.3|0|0||NAG||",
    ]
    static let early = [
        "BGP4MP_ET|200.000001|A|10.0.0.1|1|1.0.0.0/8|1 9|IGP|10.0.0.1|0|0||NAG||",
        "BGP4MP_ET|200.000003|W|10.0.0.1|1|2.0.0.0/8",
        "BGP4MP|300|W|10.0.0.1|1|2.0.0.0/8",
        "BGP4MP|300|STATE|10.0.0.2|2|6|1",
    ]
    static let late = [
        "BGP4MP_ET|200.000002|A|10.0.0.1|1|1.0.0.0/8|1 8|IGP|10.0.0.1|0|0||NAG||",
        "BGP4MP|301|STATE|10.0.0.2|2|1|2",
        "BGP4MP|302|A|10.0.0.2|2|5.0.0.0/8|2|IGP|10.0.0.2|0|0||NAG||",
    ]
    static let result = [
        "BGP4MP_ET|200.000002|A|10.0.0.1|1|1.0.0.0/8|1 8|IGP|10.0.0.1|0|0||NAG||",
        "TABLE_DUMP2|100|B|2001:db8::1|3|2001:db8::/32|3|IGP|2001:db8::1|0|0||NAG||",
        "TABLE_DUMP2_AP|100|B|10.0.0.3|4|1.0.0.0/8|1|4|IGP|10.0.0.3|0|0||NAG||",
        "TABLE_DUMP2_AP|100|B|10.0.0.3|4|1.0.0.0/8|2|4 4|IGP|10.0.0.3|0|0||NAG||",
        "BGP4MP|302|A|10.0.0.2|2|5.0.0.0/8|2|IGP|10.0.0.2|0|0||NAG||",
    ]

    @Test
    func `updates are applied in the order of their times, and the last checkpoint has them all`()
        async throws
    {
        try await withDirectory { directory in
            let files = try [Self.table, Self.early, Self.late].enumerated().map { index, lines in
                let path = directory + "/\(index).txt"
                try (lines.joined(separator: "\n") + "\n").write(
                    toFile: path, atomically: true, encoding: .utf8)
                return path
            }
            let (report, badLines) = try await replay(
                [files[0]], [files[1], files[2]], into: directory + "/state")
            #expect(badLines.count == 0)
            #expect(report.load.rows == 6)
            let updates = try #require(report.updates)
            #expect(updates.announced == 3)
            #expect(updates.withdrawn == 1)
            #expect(updates.absent == 1)
            #expect(updates.stateChanges == 2)
            #expect(updates.sessionsEnded == 1)
            #expect(updates.routesEnded == 1)
            #expect(updates.calm.count + updates.duringCheckpoint.count == 6)
            #expect(report.checkpoints.last?.rows == 5)
            var restored = Set(try await restoredLines(directory + "/state"))
            for line in Self.result { #expect(restored.remove(line) != nil, "\(line)") }
            #expect(restored.isEmpty)
        }
    }

    @Test func `an exported route has all that its line had`() async throws {
        try await withDirectory { directory in
            let path = directory + "/table.txt"
            try Self.table.joined(separator: "\n").write(
                toFile: path, atomically: true, encoding: .utf8)
            _ = try await replay([path], [], into: directory + "/state")
            var exported = Set(try await exportedLines(directory + "/state"))
            for line in Self.table { #expect(exported.remove(line) != nil, "\(line)") }
            #expect(exported.isEmpty)
        }
    }

    @Test(.enabled(if: RealData.directory != nil, RealData.comment))
    func `a full routing table comes back from its checkpoint route by route`() async throws {
        let directory = try #require(RealData.directory)
        let rib = directory + "/routes/rib.20100701.0759.txt.gz"
        try await withDirectory { scratch in
            let (report, _) = try await replay([rib], [], into: scratch + "/state")
            #expect(report.load.rows == 641_957)
            var restored = Set(try await restoredLines(scratch + "/state"))
            #expect(restored.count == 641_957)
            var missing = 0
            var reader = LineReader(try CompressedFile(path: rib))
            while try reader.next({ line in
                let text = unsafe line.withUnsafeBufferPointer {
                    unsafe String(decoding: $0, as: UTF8.self)
                }
                if restored.remove(text) == nil { missing += 1 }
            }) == .line {}
            #expect(missing == 0)
            #expect(restored.isEmpty)
        }
    }

    // MARK: Shorthand

    private func replay(
        _ dumps: [String], _ updates: [String], into state: String
    ) async throws -> (report: ReplayReport, badLines: BadLines) {
        let repository = try await Repository.open(.directory(state))
        defer { repository.close() }
        let replay = RouteReplay(
            table: try RoutingTable(), repository: repository, rate: 1_000_000,
            checkpointInterval: 1_000_000)
        return try await replay.run(dumps: dumps, updates: updates, directory: state)
    }

    private func restoredLines(_ state: String) async throws -> [String] {
        let table = try RoutingTable()
        let repository = try await Repository.open(.directory(state), for: .read)
        _ = try #require(try await repository.restore(into: table.store))
        var lines: [String] = []
        var writer = RouteLineWriter()
        let cut = table.store.cut()
        try cut.forEach(in: table.routes) { key, _ in
            guard let route = table.routes[key] else { return }
            writer.removeAll()
            writer.append(.route(key, route))
            lines.append(String(decoding: writer.bytes.dropLast(), as: UTF8.self))
        }
        return lines
    }

    private func exportedLines(_ state: String) async throws -> [String] {
        let repository = try await Repository.open(.directory(state), for: .read)
        let reader = try await repository.reader()
        let rows = try RegionRows(reader, region: 0)
        var printer = RowPrinter(rows.schema, format: .jsonl, includingSensitive: false)
        var lines: [String] = []
        var writer = RouteLineWriter()
        while try rows.next() != nil {
            printer.removeAll()
            printer.append(rows.cursor)
            for line in printer.bytes.split(separator: UInt8(ascii: "\n")) {
                let exported = try JSONDecoder().decode(ExportedRoute.self, from: Data(line))
                writer.removeAll()
                writer.append(.route(exported.key.key, try exported.row.route()))
                lines.append(String(decoding: writer.bytes.dropLast(), as: UTF8.self))
            }
        }
        return lines
    }

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "caesura-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }
}

/// A route as `caesura export` prints it: read without the library, by names alone.
private struct ExportedRoute: Decodable {
    var key: Key
    var row: Row

    struct Address: Decodable {
        var family: String
        var high: UInt64
        var low: UInt64

        var address: IPAddress {
            family == "ipv4"
                ? IPAddress(ipv4: UInt32(low)) : IPAddress(ipv6High: high, low: low)
        }
    }

    struct Key: Decodable {
        struct Peer: Decodable {
            var address: Address
            var asNumber: UInt32
        }
        struct Prefix: Decodable {
            var address: Address
            var length: UInt8
        }
        var peer: Peer
        var prefix: Prefix
        var pathID: UInt32?

        var key: RouteKey {
            RouteKey(
                peer: .init(address: peer.address.address, asNumber: peer.asNumber),
                prefix: .init(address: prefix.address.address, length: prefix.length),
                pathID: pathID)
        }
    }

    struct Row: Decodable {
        struct Path: Decodable {
            var numbers: [UInt32]
            var segments: [UInt16]
        }
        struct Aggregator: Decodable {
            var asNumber: UInt32
            var address: UInt32
        }
        var nextHop: Address
        var path: Path
        var origin: String
        var localPreference: UInt32
        var multiExitDiscriminator: UInt32
        var communities: [UInt32]
        var isAtomicAggregate: Bool
        var aggregator: Aggregator?
        var time: String
        var source: String

        func route() throws -> Route {
            var asPath = ASPath(sequence: path.numbers)
            asPath.segments = path.segments
            return Route(
                nextHop: nextHop.address, path: asPath,
                origin: Origin.allCases.first { "\($0)" == origin }!,
                localPreference: localPreference,
                multiExitDiscriminator: multiExitDiscriminator, communities: communities,
                isAtomicAggregate: isAtomicAggregate,
                aggregator: aggregator.map { .init(asNumber: $0.asNumber, address: $0.address) },
                time: Timestamp(microseconds: try microseconds()),
                source: RouteSource.allCases.first { "\($0)" == source }!)
        }

        /// `1970-01-01T00:01:40.000000Z`: Foundation reads the seconds, the digits behind them are ours.
        private func microseconds() throws -> Int64 {
            let parts = time.dropLast().split(separator: ".")
            let seconds = try Date(String(parts[0]) + "Z", strategy: .iso8601)
            return Int64(seconds.timeIntervalSince1970) * 1_000_000 + Int64(parts[1])!
        }
    }
}
