import Caesura
import CaesuraRoutes
import Testing

@Suite struct RouteLineTests {
    /// Lines of every shape, as bgpdump 1.6.2 prints them.
    static let lines = [
        "TABLE_DUMP|1027381055|B|193.203.0.1|1853|3.0.0.0/8|1853 1239 80|IGP|193.203.0.1|0|0||NAG||",
        "TABLE_DUMP|1027381055|B|193.203.0.1|1853|24.223.0.0/18|1853 1239 {13659,701}|EGP"
            + "|193.203.0.1|0|220|1273:8000 1273:12040|AG|13659 198.206.239.5|",
        "TABLE_DUMP2|1277971199|B|202.249.2.20|4777|0.0.0.0/0||INCOMPLETE|202.249.2.20|0|0||NAG||",
        "TABLE_DUMP2|0|B|2001:7f8:30::2:1:0:8447|8447|2001:db8::/32|1 (2 3) [4,5] {6} 7|IGP"
            + "|2001:7f8::1|4294967295|4294967295|no-export 0:0 65535:65280 local-AS no-advertise|NAG||",
        "TABLE_DUMP2|4294967295|B|::ffff:1.2.3.4|1|::/0|{} 4294967295|IGP|::1|0|0||NAG|0 0.0.0.0|",
        "TABLE_DUMP2_AP|1|B|10.0.0.1|1|10.0.0.0/8|77|64512|IGP|::1.2.3.4|0|0||NAG||",
        "BGP|1|A|10.0.0.1|1|10.0.0.0/8|64512|IGP|10.0.0.2|0|0||NAG||",
        "BGP4MP_ET|1445565695.724094|A|206.220.231.55|3856|1.38.0.0/17|1273 55410 38266 {38266}"
            + "|INCOMPLETE|194.59.190.1|100|0|3856:53900|NAG|65102 192.168.1.1|",
        "BGP4MP_ET|1445565678.000001|STATE|206.220.231.55|3856|6|1",
        "BGP4MP|1027377522|W|193.203.0.81|20751|200.31.199.0/24",
        "BGP4MP|1027377515|STATE|fe80::|15737|3|2",
        "BGP4MP_LOCAL|1|W|10.0.0.1|1|10.0.0.0/8",
        "BGP4MP_ET_LOCAL|1.999999|W|10.0.0.1|1|10.0.0.0/8",
        "BGP4MP_AP|1|W|10.0.0.1|1|10.0.0.0/8|4294967295",
        "BGP4MP_ET_AP|1.500000|A|10.0.0.1|1|2001:db8:0:1::/64|0|1|IGP|::|0|0||NAG||",
        "BGP4MP_LOCAL_AP|1|W|10.0.0.1|1|10.0.0.0/8|9",
        "BGP4MP_ET_LOCAL_AP|1.500000|W|10.0.0.1|1|10.0.0.0/8|9",
    ]

    @Test(arguments: lines)
    func `a line that was read prints the same bytes`(line: String) throws {
        #expect(printed(try parse(line)) == line + "\n")
    }

    @Test func `the fields of an announcement land where they belong`() throws {
        let line =
            "BGP4MP_ET|1445565695.724094|A|206.220.231.55|3856|1.38.0.0/17|1273 {7,8} 9|INCOMPLETE"
            + "|194.59.190.1|100|5|3856:53900 no-export|AG|65102 192.168.1.1|"
        guard case .route(let key, let route) = try parse(line) else {
            Issue.record("not a route")
            return
        }
        #expect(key.peer.address == IPAddress(ipv4: 206 << 24 | 220 << 16 | 231 << 8 | 55))
        #expect(key.peer.asNumber == 3856)
        #expect(key.prefix.address == IPAddress(ipv4: 1 << 24 | 38 << 16))
        #expect(key.prefix.length == 17)
        #expect(key.pathID == nil)
        #expect(route.path.numbers == [1273, 7, 8, 9])
        #expect(route.path.segments == [0 << 14 | 1, 1 << 14 | 2, 0 << 14 | 1])
        #expect(route.origin == .incomplete)
        #expect(route.nextHop == IPAddress(ipv4: 194 << 24 | 59 << 16 | 190 << 8 | 1))
        #expect(route.localPreference == 100)
        #expect(route.multiExitDiscriminator == 5)
        #expect(route.communities == [3856 << 16 | 53900, 0xFFFF_FF01])
        #expect(route.isAtomicAggregate)
        let aggregator = Aggregator(asNumber: 65102, address: 192 << 24 | 168 << 16 | 1 << 8 | 1)
        #expect(route.aggregator == aggregator)
        #expect(route.time == Timestamp(microseconds: 1_445_565_695_724_094))
        #expect(route.source == .bgp4mpExtended)
    }

    @Test func `a path of one sequence has no segments`() throws {
        guard case .route(_, let route) = try parse(Self.lines[0]) else {
            Issue.record("not a route")
            return
        }
        #expect(route.path == ASPath(sequence: [1853, 1239, 80]))
    }

    @Test func `a session ends when it leaves the established state`() throws {
        func ends(_ states: String) throws -> Bool {
            guard case .stateChange(let change) = try parse("BGP4MP|1|STATE|1.1.1.1|1|\(states)")
            else { return false }
            return change.endsSession
        }
        #expect(try ends("6|1"))
        #expect(try !ends("5|6"))
        #expect(try !ends("6|6"))
        #expect(try !ends("3|2"))
    }

    @Test(arguments: [
        ("", RouteLineError.Reason.unknownRecord, 1),
        ("TABLE_DUMP3|1|B|", .unknownRecord, 1),
        ("BGP4MP_|1|A|", .unknownRecord, 1),
        ("BGP4MP|x|A|", .malformedTime, 8),
        ("BGP4MP|01|A|", .malformedTime, 8),
        ("BGP4MP|4294967296|A|", .malformedTime, 8),
        ("BGP4MP|1.5|A|", .malformedTime, 9),
        ("BGP4MP_ET|1|A|", .malformedTime, 12),
        ("BGP4MP_ET|1.12345|A|", .malformedTime, 18),
        ("BGP4MP_ET|1.1234567|A|", .malformedTime, 19),
        ("BGP4MP|1|B|1.1.1.1|1|1.0.0.0/8", .unknownKind, 10),
        ("TABLE_DUMP2|1|W|1.1.1.1|1|1.0.0.0/8", .unknownKind, 15),
        ("TABLE_DUMP2|1|STATE|1.1.1.1|1|1|1", .unknownKind, 15),
        ("BGP4MP|1|X|", .unknownKind, 10),
        ("BGP4MP|1|", .unknownKind, 10),
        ("BGP4MP|1|W|1.1.1.256|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|1.1.1.01|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|1.1.1|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|2001:DB8::1|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|2001:db8:0:0:0:0:0:1|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|::1::2|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|1:2:3:4:5:6:7:8:9|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|1:|1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W||1|1.0.0.0/8", .malformedAddress, 12),
        ("BGP4MP|1|W|1.1.1.1|4294967296|1.0.0.0/8", .malformedNumber, 20),
        ("BGP4MP|1|W|1.1.1.1||1.0.0.0/8", .malformedNumber, 20),
        ("BGP4MP|1|W|1.1.1.1|-1|1.0.0.0/8", .malformedNumber, 20),
        ("BGP4MP|1|W|1.1.1.1|1|1.0.0.0", .malformedPrefix, 29),
        ("BGP4MP|1|W|1.1.1.1|1|1.0.0.0/33", .malformedPrefix, 30),
        ("BGP4MP|1|W|1.1.1.1|1|::/129", .malformedPrefix, 25),
        ("BGP4MP|1|W|1.1.1.1|1|1.0.0.0/8|", .wrongFieldCount, 31),
        ("BGP4MP_AP|1|W|1.1.1.1|1|1.0.0.0/8", .wrongFieldCount, 34),
        ("BGP4MP|1|STATE|1.1.1.1|1|6", .wrongFieldCount, 27),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8", .wrongFieldCount, 31),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1  2|IGP|", .malformedPath, 34),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1 {2|IGP|", .malformedPath, 36),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1 {2 3}|IGP|", .malformedPath, 36),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1...|IGP|", .malformedPath, 33),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|ASPATH ERROR|IGP|", .malformedPath, 32),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|igp|", .unknownOrigin, 34),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|-5||NAG||", .malformedNumber, 48),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0|1:65536|NAG||", .malformedCommunity, 50),
        (
            "BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0|65535:65281|NAG||",
            .malformedCommunity, 50
        ),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0|no|NAG||", .malformedCommunity, 50),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0||X||", .malformedAggregate, 51),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0||NAG|5|", .malformedAggregate, 56),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0||NAG|", .malformedNumber, 55),
        ("BGP4MP|1|A|1.1.1.1|1|1.0.0.0/8|1|IGP|1.1.1.1|0|0||NAG||x", .wrongFieldCount, 56),
    ])
    func `a bad line is refused with its reason and column`(
        line: String, reason: RouteLineError.Reason, column: Int
    ) {
        #expect(throws: RouteLineError(reason, line: 41, column: column)) {
            try parse(line, number: 41)
        }
    }

    @Test func `every pattern of zero groups in an IPv6 address has one spelling`() throws {
        for mask in 0..<256 {
            var halves: (UInt64, UInt64) = (0, 0)
            for group in 0..<8 where mask >> group & 1 == 1 {
                let value = UInt64(0xA0 + group) << UInt64(48 - 16 * (group & 3))
                if group < 4 { halves.0 |= value } else { halves.1 |= value }
            }
            let key = RouteKey(
                peer: Peer(address: IPAddress(ipv6High: halves.0, low: halves.1), asNumber: 1),
                prefix: Prefix(address: IPAddress(ipv4: 0), length: 0))
            let line = RouteLine.withdrawal(withdrawal(key))
            let text = printed(line)
            #expect(try parse(String(text.dropLast())) == line, "\(text)")
        }
    }

    @Test func `whatever is done to a line, it is refused or printed as it was`() throws {
        var generator = Seeded(seed: UInt64.random(in: 0...UInt64.max))
        let seed = generator.seed
        let alphabet = Array("0123456789|:./ {}()[],-ABEGINTWabcdef_x".utf8)
        var read = 0
        for _ in 0..<50_000 {
            var bytes = Array(Self.lines.randomElement(using: &generator)!.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = alphabet.randomElement(using: &generator)!
                case 1: bytes.insert(alphabet.randomElement(using: &generator)!, at: place)
                default: if bytes.count > 1 { bytes.remove(at: place) }
                }
            }
            var parser = RouteLineParser()
            guard let line = try? parser.parse(bytes.span, number: 1) else { continue }
            read += 1
            var writer = RouteLineWriter()
            writer.append(line)
            #expect(
                writer.bytes.dropLast() == bytes[...],
                "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
        }
        // Many changes only turn one digit into another, so a good share must still be read.
        #expect(read > 2_000, "seed \(seed)")
    }

    // MARK: Shorthand

    private func parse(_ line: String, number: Int = 1) throws(RouteLineError) -> RouteLine {
        var parser = RouteLineParser()
        return try parser.parse(Array(line.utf8).span, number: number)
    }

    private func printed(_ line: RouteLine) -> String {
        var writer = RouteLineWriter()
        writer.append(line)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func withdrawal(_ key: RouteKey) -> RouteLine.Withdrawal {
        RouteLine.Withdrawal(key: key, time: Timestamp(microseconds: 0), source: .bgp4mp)
    }
}

/// SplitMix64, so that a failure can be repeated from its printed seed.
struct Seeded: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
