import CaesuraFormat

/// Values as text that JSON and CSV share.
///
/// Digits go straight to where the text is collected: a string for each value of a million rows would take
/// longer than all the rest.
enum ScalarText {
    /// Whether JSON has the scalar's text between quotes: a UUID, a time, a float without a number.
    static func isQuoted(_ scalar: ScalarType, _ bytes: UnsafeRawBufferPointer) -> Bool {
        switch scalar {
        case .uuid, .timestamp: true
        case .float16: unsafe !load(Float16.self, bytes).isFinite
        case .float32: unsafe !load(Float.self, bytes).isFinite
        case .float64: unsafe !load(Double.self, bytes).isFinite
        default: false
        }
    }

    /// Appends the text of a scalar.
    static func append(
        _ scalar: ScalarType, _ value: UnsafeRawBufferPointer, to bytes: inout [UInt8]
    ) {
        switch scalar {
        case .bool:
            let text: StaticString = unsafe load(UInt8.self, value) == 0 ? "false" : "true"
            append(text, to: &bytes)
        case .int8: unsafe append(Int64(load(Int8.self, value)), to: &bytes)
        case .int16: unsafe append(Int64(load(Int16.self, value)), to: &bytes)
        case .int32: unsafe append(Int64(load(Int32.self, value)), to: &bytes)
        case .int64: unsafe append(load(Int64.self, value), to: &bytes)
        case .int128: unsafe append(load(Int128.self, value).description, to: &bytes)
        case .uint8: unsafe append(UInt64(load(UInt8.self, value)), to: &bytes)
        case .uint16: unsafe append(UInt64(load(UInt16.self, value)), to: &bytes)
        case .uint32: unsafe append(UInt64(load(UInt32.self, value)), to: &bytes)
        case .uint64: unsafe append(load(UInt64.self, value), to: &bytes)
        case .uint128: unsafe append(load(UInt128.self, value).description, to: &bytes)
        // Swift prints the shortest digits that read back as the same float.
        case .float16: unsafe append(load(Float16.self, value).description, to: &bytes)
        case .float32: unsafe append(load(Float.self, value).description, to: &bytes)
        case .float64: unsafe append(load(Double.self, value).description, to: &bytes)
        case .uuid: unsafe appendUUID(value, to: &bytes)
        case .timestamp: unsafe appendTime(load(Int64.self, value), to: &bytes)
        }
    }

    private static func load<Value: BitwiseCopyable>(
        _ type: Value.Type, _ bytes: UnsafeRawBufferPointer
    ) -> Value {
        // SAFETY: `bytes` has the scalar's width, which is the type's size.
        unsafe bytes.loadUnaligned(as: type)
    }

    private static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text.utf8)
    }

    // MARK: Numbers

    private static func append(_ value: Int64, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        append(value.magnitude, to: &bytes)
    }

    /// Appends a number with at least so many digits.
    private static func append(_ value: UInt64, width: Int = 1, to bytes: inout [UInt8]) {
        if value < 10, width == 1 { return bytes.append(UInt8(ascii: "0") + UInt8(value)) }
        // 2 to the power 64 has 20 digits.
        var digits: InlineArray<20, UInt8> = InlineArray(repeating: UInt8(ascii: "0"))
        var first = digits.count
        var rest = value
        while rest > 0 || digits.count - first < width {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        unsafe digits.span.withUnsafeBufferPointer { digits in
            unsafe bytes.append(contentsOf: digits[first...])
        }
    }

    // MARK: Bytes

    private static func appendUUID(_ value: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                bytes.append(UInt8(ascii: "-"))
            }
            appendHexadecimal(unsafe value[index], to: &bytes)
        }
    }

    /// Appends two lower-case digits.
    static func appendHexadecimal(_ byte: UInt8, to bytes: inout [UInt8]) {
        func digit(_ value: UInt8) -> UInt8 {
            value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
        }
        bytes.append(digit(byte >> 4))
        bytes.append(digit(byte & 15))
    }

    // MARK: Times

    /// Appends an instant as RFC 3339 in UTC with all six digits of microseconds; years before 0 or after
    /// 9999 as Swift counts them.
    static func appendTime(_ microseconds: Int64, to bytes: inout [UInt8]) {
        let second = floorDivided(microseconds, by: 1_000_000)
        let day = floorDivided(second.quotient, by: 86_400)
        let (year, month, dayOfMonth) = civil(day.quotient)
        func append(_ value: Int64, _ width: Int, _ separator: Unicode.Scalar) {
            Self.append(value.magnitude, width: width, to: &bytes)
            bytes.append(UInt8(ascii: separator))
        }
        if year < 0 { bytes.append(UInt8(ascii: "-")) }
        append(year, 4, "-")
        append(month, 2, "-")
        append(dayOfMonth, 2, "T")
        append(day.rest / 3_600, 2, ":")
        append(day.rest / 60 % 60, 2, ":")
        append(day.rest % 60, 2, ".")
        append(second.rest, 6, "Z")
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
