import Caesura

/// Reads route lines out of bytes that somebody else owns, without copying them first.
///
/// The grammar is in ``RouteLine``. A parser keeps its place and a little scratch memory, so use one for many
/// lines; it is not shared between threads.
public struct RouteLineParser: Sendable {
    /// The next byte to read.
    var position = 0
    private var number = 0
    private var lastSource = RouteSource.tableDump2
    /// Where an IPv6 address is printed again, to see whether it was in its one spelling.
    var spelling = RouteLineWriter()

    /// Creates a parser.
    public init() {}

    /// Reads one line.
    ///
    /// - Parameters:
    ///   - line: The bytes, without the line feed.
    ///   - number: The line's number in its file, from 1, for the error.
    /// - Throws: ``RouteLineError`` with the first byte that is wrong.
    public mutating func parse(
        _ line: Span<UInt8>, number: Int
    ) throws(RouteLineError) -> RouteLine {
        self.number = number
        position = 0
        let source = try source(line)
        let time = try time(line, source)
        let kindStart = position
        switch try word(line) {
        case .letter(UInt8(ascii: "B")) where source.isTable,
            .letter(UInt8(ascii: "A")) where !source.isTable:
            let key = try key(line, source)
            try separator(line)
            return .route(key, try route(line, source, time))
        case .letter(UInt8(ascii: "W")) where !source.isTable:
            let key = try key(line, source)
            try end(line)
            return .withdrawal(RouteLine.Withdrawal(key: key, time: time, source: source))
        case .state where !source.isTable:
            let peer = try peer(line)
            let old = UInt16(try decimal(line, upTo: UInt64(UInt16.max)))
            try separator(line)
            let new = UInt16(try decimal(line, upTo: UInt64(UInt16.max)))
            try end(line)
            return .stateChange(
                RouteLine.StateChange(peer: peer, old: old, new: new, time: time, source: source))
        default:
            throw error(.unknownKind, at: kindStart)
        }
    }

    // MARK: The line's parts

    private enum Word {
        case letter(UInt8)
        case state
        case other
    }

    /// Reads `A|`, `B|`, `W|` or `STATE|`.
    private mutating func word(_ line: Span<UInt8>) throws(RouteLineError) -> Word {
        if peek(line, ahead: 1) == Self.bar {
            let letter = line[position]
            position += 2
            return .letter(letter)
        }
        return skip(line, "STATE|") ? .state : .other
    }

    private mutating func source(_ line: Span<UInt8>) throws(RouteLineError) -> RouteSource {
        // Nearly all lines of a file have the word of the line before.
        if skip(line, lastSource.word), peek(line) == Self.bar {
            position += 1
            return lastSource
        }
        for source in RouteSource.allCases {
            position = 0
            if skip(line, source.word), peek(line) == Self.bar {
                position += 1
                lastSource = source
                return source
            }
        }
        throw error(.unknownRecord, at: 0)
    }

    private mutating func time(
        _ line: Span<UInt8>, _ source: RouteSource
    ) throws(RouteLineError) -> Timestamp {
        let start = position
        // MRT times are 32 bits of seconds.
        guard let seconds = number(line, upTo: UInt64(UInt32.max)) else {
            throw error(.malformedTime, at: start)
        }
        var microseconds: Int64 = 0
        if source.hasMicroseconds {
            guard peek(line) == UInt8(ascii: ".") else { throw error(.malformedTime) }
            position += 1
            for _ in 0..<6 {
                guard let digit = digit(line) else { throw error(.malformedTime) }
                microseconds = microseconds * 10 + Int64(digit)
            }
        }
        guard peek(line) == Self.bar else { throw error(.malformedTime) }
        position += 1
        return Timestamp(microseconds: Int64(seconds) * 1_000_000 + microseconds)
    }

    /// Reads `address|AS|`.
    private mutating func peer(_ line: Span<UInt8>) throws(RouteLineError) -> Peer {
        let address = try address(line)
        try separator(line)
        let asNumber = try decimal32(line)
        try separator(line)
        return Peer(address: address, asNumber: asNumber)
    }

    /// Reads `address|AS|prefix/length`, and `|path id` where the record has one.
    private mutating func key(
        _ line: Span<UInt8>, _ source: RouteSource
    ) throws(RouteLineError) -> RouteKey {
        let peer = try peer(line)
        let address = try address(line)
        guard peek(line) == UInt8(ascii: "/") else { throw error(.malformedPrefix) }
        position += 1
        let start = position
        guard let length = number(line, upTo: UInt64(address.bitWidth)) else {
            throw error(.malformedPrefix, at: start)
        }
        var pathID: UInt32?
        if source.hasPathID {
            try separator(line)
            pathID = try decimal32(line)
        }
        return RouteKey(
            peer: peer, prefix: Prefix(address: address, length: UInt8(length)), pathID: pathID)
    }

    /// Reads everything behind the key.
    private mutating func route(
        _ line: Span<UInt8>, _ source: RouteSource, _ time: Timestamp
    ) throws(RouteLineError) -> Route {
        let path = try path(line)
        try separator(line)
        let origin = try origin(line)
        let nextHop = try address(line)
        try separator(line)
        let localPreference = try decimal32(line)
        try separator(line)
        let multiExitDiscriminator = try decimal32(line)
        try separator(line)
        let communities = try communities(line)
        try separator(line)
        let isAtomicAggregate: Bool
        if skip(line, "NAG|") {
            isAtomicAggregate = false
        } else if skip(line, "AG|") {
            isAtomicAggregate = true
        } else {
            throw error(.malformedAggregate)
        }
        var aggregator: Aggregator?
        if peek(line) != Self.bar {
            let asNumber = try decimal32(line)
            guard peek(line) == Self.space else { throw error(.malformedAggregate) }
            position += 1
            guard let address = ipv4(line) else { throw error(.malformedAddress) }
            aggregator = Aggregator(asNumber: asNumber, address: address)
        }
        try separator(line)
        try end(line)
        return Route(
            nextHop: nextHop, path: path, origin: origin, localPreference: localPreference,
            multiExitDiscriminator: multiExitDiscriminator, communities: communities,
            isAtomicAggregate: isAtomicAggregate, aggregator: aggregator, time: time,
            source: source)
    }

    private mutating func origin(_ line: Span<UInt8>) throws(RouteLineError) -> Origin {
        if skip(line, "IGP|") { return .igp }
        if skip(line, "INCOMPLETE|") { return .incomplete }
        if skip(line, "EGP|") { return .egp }
        throw error(.unknownOrigin)
    }

    // MARK: Paths and communities

    private mutating func path(_ line: Span<UInt8>) throws(RouteLineError) -> ASPath {
        var numbers: [UInt32] = []
        var segments: [UInt16] = []
        if peek(line) == Self.bar { return ASPath(numbers: numbers, segments: segments) }
        // Paths are 4 or 5 numbers long on average, and rarely longer than 8.
        numbers.reserveCapacity(8)
        var sequenceLength = 0
        while true {
            switch peek(line) {
            case UInt8(ascii: "{"):
                try close(sequence: &sequenceLength, &segments)
                try segment(line, .set, ",", "}", &numbers, &segments)
            case UInt8(ascii: "["):
                try close(sequence: &sequenceLength, &segments)
                try segment(line, .confederationSet, ",", "]", &numbers, &segments)
            case UInt8(ascii: "("):
                try close(sequence: &sequenceLength, &segments)
                try segment(line, .confederationSequence, " ", ")", &numbers, &segments)
            default:
                let start = position
                guard let number = number(line, upTo: UInt64(UInt32.max)) else {
                    throw error(.malformedPath, at: start)
                }
                numbers.append(UInt32(number))
                sequenceLength += 1
            }
            if peek(line) == Self.bar { break }
            guard peek(line) == Self.space else { throw error(.malformedPath) }
            position += 1
        }
        if segments.isEmpty {
            guard sequenceLength <= ASPath.maximumSegmentLength else {
                throw error(.malformedPath)
            }
        } else {
            try close(sequence: &sequenceLength, &segments)
        }
        return ASPath(numbers: numbers, segments: segments)
    }

    /// Notes the sequence that ends here, if there is one.
    private func close(
        sequence length: inout Int, _ segments: inout [UInt16]
    ) throws(RouteLineError) {
        guard length > 0 else { return }
        guard length <= ASPath.maximumSegmentLength else { throw error(.malformedPath) }
        segments.append(ASPath.segment(.sequence, length: length))
        length = 0
    }

    /// Reads a segment in brackets; an empty one is allowed, routers have sent them.
    private mutating func segment(
        _ line: Span<UInt8>, _ kind: ASPath.SegmentKind, _ separator: Unicode.Scalar,
        _ close: Unicode.Scalar, _ numbers: inout [UInt32], _ segments: inout [UInt16]
    ) throws(RouteLineError) {
        position += 1
        var length = 0
        while length > 0 || peek(line) != UInt8(ascii: close) {
            let start = position
            guard let number = number(line, upTo: UInt64(UInt32.max)) else {
                throw error(.malformedPath, at: start)
            }
            numbers.append(UInt32(number))
            length += 1
            if peek(line) == UInt8(ascii: close) { break }
            guard peek(line) == UInt8(ascii: separator), length < ASPath.maximumSegmentLength
            else { throw error(.malformedPath) }
            position += 1
        }
        position += 1
        segments.append(ASPath.segment(kind, length: length))
    }

    private mutating func communities(_ line: Span<UInt8>) throws(RouteLineError) -> [UInt32] {
        var communities: [UInt32] = []
        if peek(line) == Self.bar { return communities }
        while true {
            communities.append(try community(line))
            if peek(line) == Self.bar { return communities }
            guard peek(line) == Self.space else { throw error(.malformedCommunity) }
            position += 1
        }
    }

    private mutating func community(_ line: Span<UInt8>) throws(RouteLineError) -> UInt32 {
        let start = position
        if let high = number(line, upTo: UInt64(UInt16.max)) {
            guard peek(line) == UInt8(ascii: ":") else { throw error(.malformedCommunity) }
            position += 1
            guard let low = number(line, upTo: UInt64(UInt16.max)) else {
                throw error(.malformedCommunity, at: start)
            }
            let community = UInt32(high << 16 | low)
            // bgpdump prints these by name, so in numbers they are not its spelling.
            guard WellKnownCommunity(rawValue: community) == nil else {
                throw error(.malformedCommunity, at: start)
            }
            return community
        }
        // `number` may have stopped behind some digits, as in `67295no-export`.
        position = start
        for known in WellKnownCommunity.allCases where skip(line, known.word) {
            return known.rawValue
        }
        throw error(.malformedCommunity, at: start)
    }

    // MARK: Bytes

    private static let bar = UInt8(ascii: "|")
    private static let space = UInt8(ascii: " ")
    static let colon = UInt8(ascii: ":")

    func peek(_ line: Span<UInt8>, ahead: Int = 0) -> UInt8? {
        position + ahead < line.count ? line[position + ahead] : nil
    }

    private mutating func digit(_ line: Span<UInt8>) -> UInt8? {
        guard position < line.count else { return nil }
        let digit = line[position] &- UInt8(ascii: "0")
        guard digit < 10 else { return nil }
        position += 1
        return digit
    }

    /// Reads a decimal number without leading zeros; nil and a place somewhere in it if there is none.
    mutating func number(_ line: Span<UInt8>, upTo limit: UInt64) -> UInt64? {
        guard let first = digit(line) else { return nil }
        var value = UInt64(first)
        if first == 0 {
            // A zero stands alone.
            return digit(line) == nil ? 0 : nil
        }
        // `limit` is below 2^32, so one more digit never overflows.
        while value <= limit, let next = digit(line) { value = value * 10 + UInt64(next) }
        return value <= limit ? value : nil
    }

    private mutating func decimal(
        _ line: Span<UInt8>, upTo limit: UInt64
    ) throws(RouteLineError) -> UInt64 {
        let start = position
        guard let value = number(line, upTo: limit) else {
            throw error(.malformedNumber, at: start)
        }
        return value
    }

    private mutating func decimal32(_ line: Span<UInt8>) throws(RouteLineError) -> UInt32 {
        UInt32(try decimal(line, upTo: UInt64(UInt32.max)))
    }

    private mutating func skip(_ line: Span<UInt8>, _ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= line.count else { return false }
        let matches = text.withUTF8Buffer { expected in
            for index in 0..<count where unsafe expected[index] != line[position + index] {
                return false
            }
            return true
        }
        if matches { position += count }
        return matches
    }

    private mutating func separator(_ line: Span<UInt8>) throws(RouteLineError) {
        guard peek(line) == Self.bar else { throw error(.wrongFieldCount) }
        position += 1
    }

    private func end(_ line: Span<UInt8>) throws(RouteLineError) {
        guard position == line.count else { throw error(.wrongFieldCount) }
    }

    func error(_ reason: RouteLineError.Reason, at offset: Int? = nil) -> RouteLineError {
        RouteLineError(reason, line: number, column: (offset ?? position) + 1)
    }
}
