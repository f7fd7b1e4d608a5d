import Caesura

/// Prints route lines into bytes it keeps, exactly as `bgpdump -m` does.
public struct RouteLineWriter: Sendable {
    /// What was printed so far.
    public private(set) var bytes: [UInt8] = []

    /// Creates a writer that has printed nothing.
    public init() {}

    /// Forgets what was printed and keeps the memory.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Prints a line and its line feed.
    public mutating func append(_ line: RouteLine) {
        switch line {
        case .route(let key, let route): append(key, route)
        case .withdrawal(let withdrawal):
            append(withdrawal.source, withdrawal.time, "W")
            append(withdrawal.key)
        case .stateChange(let change):
            append(change.source, change.time, "STATE")
            append(change.peer)
            append(UInt64(change.old))
            append("|")
            append(UInt64(change.new))
        }
        append("\n")
    }

    private mutating func append(_ key: RouteKey, _ route: Route) {
        append(route.source, route.time, route.source.isTable ? "B" : "A")
        append(key)
        append("|")
        append(route.path)
        switch route.origin {
        case .igp: append("|IGP|")
        case .egp: append("|EGP|")
        case .incomplete: append("|INCOMPLETE|")
        }
        append(route.nextHop)
        append("|")
        append(UInt64(route.localPreference))
        append("|")
        append(UInt64(route.multiExitDiscriminator))
        append("|")
        append(communities: route.communities)
        append(route.isAtomicAggregate ? "|AG|" : "|NAG|")
        if let aggregator = route.aggregator {
            append(UInt64(aggregator.asNumber))
            append(" ")
            append(ipv4: aggregator.address)
        }
        append("|")
    }

    private mutating func append(_ source: RouteSource, _ time: Timestamp, _ kind: StaticString) {
        append(source.word)
        append("|")
        let (seconds, microseconds) = UInt64(time.microseconds)
            .quotientAndRemainder(dividingBy: 1_000_000)
        append(seconds)
        if source.hasMicroseconds {
            append(".")
            var unit: UInt64 = 100_000
            while unit > 0 {
                bytes.append(UInt8(ascii: "0") + UInt8(microseconds / unit % 10))
                unit /= 10
            }
        }
        append("|")
        append(kind)
        append("|")
    }

    private mutating func append(_ peer: Peer) {
        append(peer.address)
        append("|")
        append(UInt64(peer.asNumber))
        append("|")
    }

    private mutating func append(_ key: RouteKey) {
        append(key.peer)
        append(key.prefix.address)
        append("/")
        append(UInt64(key.prefix.length))
        if let pathID = key.pathID {
            append("|")
            append(UInt64(pathID))
        }
    }

    private mutating func append(_ path: ASPath) {
        if path.segments.isEmpty {
            append(path.numbers[...], separator: " ")
            return
        }
        var next = 0
        for (index, segment) in path.segments.enumerated() {
            let (kind, length) = ASPath.parts(of: segment)
            let numbers = path.numbers[next..<next + length]
            next += length
            if index > 0 { append(" ") }
            switch kind {
            case .sequence: append(numbers, separator: " ")
            case .set:
                append("{")
                append(numbers, separator: ",")
                append("}")
            case .confederationSequence:
                append("(")
                append(numbers, separator: " ")
                append(")")
            case .confederationSet:
                append("[")
                append(numbers, separator: ",")
                append("]")
            }
        }
    }

    private mutating func append(_ numbers: ArraySlice<UInt32>, separator: StaticString) {
        var isFirst = true
        for number in numbers {
            if !isFirst { append(separator) }
            isFirst = false
            append(UInt64(number))
        }
    }

    private mutating func append(communities: [UInt32]) {
        var isFirst = true
        for community in communities {
            if !isFirst { append(" ") }
            isFirst = false
            if let name = WellKnownCommunity(rawValue: community) {
                append(name.word)
            } else {
                append(UInt64(community >> 16))
                append(":")
                append(UInt64(community & 0xFFFF))
            }
        }
    }

    /// Prints an address in the spelling bgpdump gives it.
    mutating func append(_ address: IPAddress) {
        switch address.family {
        case .ipv4: append(ipv4: UInt32(truncatingIfNeeded: address.low))
        case .ipv6: append(ipv6: address)
        }
    }

    private mutating func append(ipv4 bits: UInt32) {
        append(UInt64(bits >> 24))
        append(".")
        append(UInt64(bits >> 16 & 0xFF))
        append(".")
        append(UInt64(bits >> 8 & 0xFF))
        append(".")
        append(UInt64(bits & 0xFF))
    }

    /// RFC 5952, but for two habits of bgpdump: a single zero group is shortened to `::` too, and
    /// IPv4-compatible addresses (`::1.2.3.4`) end like IPv4-mapped ones.
    private mutating func append(ipv6 address: IPAddress) {
        if address.high == 0 {
            if address.low >> 32 == 0xFFFF {
                append("::ffff:")
                return append(ipv4: UInt32(truncatingIfNeeded: address.low))
            }
            if address.low >> 32 == 0, address.low > 1 {
                append("::")
                return append(ipv4: UInt32(address.low))
            }
        }
        var longest = 0..<0
        var start = 0
        for index in 0..<8 where address.group(index) != 0 {
            if index - start > longest.count { longest = start..<index }
            start = index + 1
        }
        if 8 - start > longest.count { longest = start..<8 }
        var index = 0
        while index < 8 {
            if index == longest.lowerBound, !longest.isEmpty {
                append(index == 0 ? "::" : ":")
                index = longest.upperBound
                continue
            }
            append(hexadecimal: address.group(index))
            if index < 7 { append(":") }
            index += 1
        }
    }

    private mutating func append(hexadecimal group: UInt16) {
        var shift = 12
        while shift > 0, group >> UInt16(shift) == 0 { shift -= 4 }
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: group >> UInt16(shift) & 0xF)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            shift -= 4
        }
    }

    private mutating func append(_ number: UInt64) {
        if number < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(number))
            return
        }
        // 64 bits are at most 20 digits; they come out last first.
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = digits.count
        var rest = number
        while rest > 0 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(digit)
            rest = quotient
        }
        for index in first..<digits.count { bytes.append(digits[index]) }
    }

    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }
}
