import CaesuraFormat

/// Values as text that JSON and CSV share.
enum ScalarText {
    /// A number, or the words of one of the few types that are no numbers in JSON.
    enum Form {
        /// Stands in JSON as it is: a number, `true`, `false`.
        case bare(String)
        /// Stands in JSON between quotes: a UUID, a time, a float without a number.
        case quoted(String)
    }

    /// The text of a scalar.
    static func text(_ scalar: ScalarType, _ bytes: UnsafeRawBufferPointer) -> Form {
        func load<Value: BitwiseCopyable>(_ type: Value.Type) -> Value {
            // SAFETY: `bytes` has the scalar's width, which is the type's size.
            unsafe bytes.loadUnaligned(as: type)
        }
        switch scalar {
        case .bool: return .bare(load(UInt8.self) == 0 ? "false" : "true")
        case .int8: return .bare("\(load(Int8.self))")
        case .int16: return .bare("\(load(Int16.self))")
        case .int32: return .bare("\(load(Int32.self))")
        case .int64: return .bare("\(load(Int64.self))")
        case .int128: return .bare("\(load(Int128.self))")
        case .uint8: return .bare("\(load(UInt8.self))")
        case .uint16: return .bare("\(load(UInt16.self))")
        case .uint32: return .bare("\(load(UInt32.self))")
        case .uint64: return .bare("\(load(UInt64.self))")
        case .uint128: return .bare("\(load(UInt128.self))")
        case .float16: return float(Double(load(Float16.self)), "\(load(Float16.self))")
        case .float32: return float(Double(load(Float.self)), "\(load(Float.self))")
        case .float64: return float(load(Double.self), "\(load(Double.self))")
        case .uuid: return .quoted(uuid(unsafe [UInt8](bytes)))
        case .timestamp: return .quoted(time(load(Int64.self)))
        }
    }

    /// Swift prints the shortest digits that read back as the same float, but JSON has no `nan` and `inf`.
    private static func float(_ value: Double, _ text: String) -> Form {
        value.isFinite ? .bare(text) : .quoted(text)
    }

    private static func uuid(_ bytes: [UInt8]) -> String {
        let hex = hexadecimal(bytes)
        var text = ""
        for (index, digit) in hex.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    /// Two lower-case digits a byte.
    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef")
        return bytes.reduce(into: "") { text, byte in
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
    }

    /// RFC 3339 in UTC with all six digits of microseconds; years before 0 or after 9999 as Swift counts them.
    static func time(_ microseconds: Int64) -> String {
        let second = floorDivided(microseconds, by: 1_000_000)
        let day = floorDivided(second.quotient, by: 86_400)
        let (year, month, dayOfMonth) = civil(day.quotient)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value.magnitude)
            return (value < 0 ? "-" : "")
                + String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let clock = [day.rest / 3_600, day.rest / 60 % 60, day.rest % 60].map { padded($0, 2) }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))"
            + "T\(clock.joined(separator: ":")).\(padded(second.rest, 6))Z"
    }

    private static func floorDivided(
        _ value: Int64, by divisor: Int64
    ) -> (quotient: Int64, rest: Int64) {
        let (quotient, rest) = value.quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }

    /// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
    ///
    /// Howard Hinnant, "chrono-compatible low-level date algorithms": eras of 400 years that begin in March.
    private static func civil(_ day: Int64) -> (Int64, Int64, Int64) {
        let (era, dayOfEra) = floorDivided(day + 719_468, by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shifted + 2) / 5 + 1
        )
    }
}
