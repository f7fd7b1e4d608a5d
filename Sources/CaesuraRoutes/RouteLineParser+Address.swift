/// How addresses are read.
extension RouteLineParser {
    mutating func address(_ line: Span<UInt8>) throws(RouteLineError) -> IPAddress {
        let start = position
        if let bits = ipv4(line) { return IPAddress(ipv4: bits) }
        position = start
        if let address = ipv6(line) { return address }
        throw error(.malformedAddress, at: start)
    }

    mutating func ipv4(_ line: Span<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        for octet in 0..<4 {
            if octet > 0 {
                guard peek(line) == UInt8(ascii: ".") else { return nil }
                position += 1
            }
            guard let value = number(line, upTo: 255) else { return nil }
            bits = bits << 8 | UInt32(value)
        }
        return bits
    }

    /// Reads the spellings of RFC 4291 section 2.2, then refuses all but bgpdump's.
    private mutating func ipv6(_ line: Span<UInt8>) -> IPAddress? {
        let start = position
        var groups: (UInt64, UInt64) = (0, 0)
        var count = 0
        var gap: Int?
        func shift(_ value: UInt64, by bits: UInt64) {
            groups = (groups.0 << bits | groups.1 >> (64 - bits), groups.1 << bits | value)
        }
        if peek(line) == Self.colon {
            guard peek(line, ahead: 1) == Self.colon else { return nil }
            position += 2
            gap = 0
        }
        while count < 8, let first = peek(line), hexadecimal(first) != nil {
            if count <= 6, let low = embeddedIPv4(line) {
                shift(UInt64(low), by: 32)
                count += 2
                break
            }
            var group: UInt64 = 0
            var digits = 0
            while digits < 4, let byte = peek(line), let digit = hexadecimal(byte) {
                group = group << 4 | digit
                digits += 1
                position += 1
            }
            shift(group, by: 16)
            count += 1
            guard peek(line) == Self.colon else { break }
            if peek(line, ahead: 1) == Self.colon {
                guard gap == nil else { return nil }
                gap = count
                position += 2
            } else {
                position += 1
            }
        }
        if let gap {
            guard count < 8 else { return nil }
            // The groups behind the gap stand right; those before it move to the left end.
            let tail = (count - gap) * 16
            let all = UInt128(groups.0) << 64 | UInt128(groups.1)
            let before = (all >> tail) << (128 - gap * 16)
            let joined = before | all & ((1 << tail) - 1)
            groups = (UInt64(truncatingIfNeeded: joined >> 64), UInt64(truncatingIfNeeded: joined))
        } else if count != 8 {
            return nil
        }
        let address = IPAddress(ipv6High: groups.0, low: groups.1)
        spelling.removeAll()
        spelling.append(address)
        guard spelling.bytes.count == position - start else { return nil }
        for index in 0..<spelling.bytes.count
        where spelling.bytes[index] != line[start + index] {
            return nil
        }
        return address
    }

    /// Reads four octets where they end an IPv6 address, or stays where it is.
    private mutating func embeddedIPv4(_ line: Span<UInt8>) -> UInt32? {
        let start = position
        if let bits = ipv4(line) { return bits }
        position = start
        return nil
    }

    private func hexadecimal(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        default: nil
        }
    }
}
