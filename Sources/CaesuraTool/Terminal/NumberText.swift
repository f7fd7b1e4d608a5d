/// Numbers as people read them: grouped digits, and three significant digits with a unit.
extension BinaryInteger {
    /// `641957` as `641,957`.
    var grouped: String {
        let digits = String(magnitude)
        var text = self < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}

extension Double {
    /// Three significant digits, without an exponent: `0.123`, `1.23`, `12.3`, `123`, `1234`.
    var short: String {
        let magnitude = abs(self)
        let places =
            magnitude >= 99.95 || self == 0
            ? 0 : magnitude >= 9.995 ? 1 : magnitude >= 0.9995 ? 2 : 3
        return fixed(places)
    }

    /// A fixed number of digits behind the point.
    func fixed(_ places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (abs(self) * scale).rounded()
        guard scaled < 9e15 else { return "\(self)" }
        let whole = Int64(scaled / scale)
        let text = (self < 0 && scaled > 0 ? "-" : "") + String(whole)
        guard places > 0 else { return text }
        let rest = String(Int64(scaled) - whole * Int64(scale))
        return text + "." + String(repeating: "0", count: places - rest.count) + rest
    }
}

/// A length of time in nanoseconds, with the unit that suits it: `41 ns`, `1.20 µs`, `7.90 s`.
func durationText(_ nanoseconds: UInt64) -> String {
    let value = Double(nanoseconds)
    // One step earlier than the unit's own size, so that rounding never prints `1000 µs`.
    if value < 999.5 { return "\(nanoseconds) ns" }
    if value < 999.5e3 { return (value / 1e3).short + " µs" }
    if value < 999.5e6 { return (value / 1e6).short + " ms" }
    return (value / 1e9).short + " s"
}

/// A number of bytes with the decimal unit that suits it: `312 B`, `26.4 MB`.
func byteText(_ count: Int) -> String {
    let value = Double(count)
    if value < 999.5 { return "\(count) B" }
    if value < 999.5e3 { return (value / 1e3).short + " kB" }
    if value < 999.5e6 { return (value / 1e6).short + " MB" }
    return (value / 1e9).short + " GB"
}

extension String {
    /// The text with spaces in front, at least `width` characters long.
    func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: Swift.max(0, width - count)) + self
    }

    /// The text with spaces behind, at least `width` characters long.
    func rightPadded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}

/// A number and what is counted: `1 row`, `2,000 rows`.
func counted(_ count: Int, _ noun: String) -> String {
    "\(count.grouped) \(noun)\(count == 1 ? "" : "s")"
}

/// Some epochs in words: `epoch 3`, `epochs 1 to 40`, `epochs 1 to 40, 42, 50 to 60`.
///
/// - Parameters:
///   - epochs: The epochs, ascending.
///   - all: Those among which neighbours make a range, ascending; numbers are left out where no cut was saved.
func epochText(_ epochs: [UInt64], among all: [UInt64]) -> String {
    var ranges: [(first: UInt64, last: UInt64)] = []
    var next = epochs.startIndex
    var isOpen = false
    for epoch in all where next < epochs.endIndex {
        guard epochs[next] == epoch else {
            isOpen = false
            continue
        }
        if isOpen {
            ranges[ranges.count - 1].last = epoch
        } else {
            ranges.append((epoch, epoch))
        }
        isOpen = true
        next += 1
    }
    // As many as fit on a line or two; a rule can leave hundreds.
    let shown = ranges.prefix(12).map { range in
        range.first == range.last ? "\(range.first)" : "\(range.first) to \(range.last)"
    }
    let rest = ranges.dropFirst(12)
    return (epochs.count == 1 ? "epoch " : "epochs ") + shown.joined(separator: ", ")
        + (rest.isEmpty ? "" : ", … to \(rest[rest.endIndex - 1].last)")
}
