/// Reads JSON (RFC 8259) that nobody vouches for, straight into the caller's values.
///
/// Not Foundation's decoder, because a manifest's reader must say which member is wrong and at which
/// byte, must refuse a member that occurs twice, must read every UInt64 exactly, and must not build a
/// tree whose size the file's author chooses. Members that the caller does not know are skipped.
struct JSONReader {
    /// Objects and arrays within each other; a manifest needs four.
    static let depthLimit = 16

    private let bytes: [UInt8]
    private let file: String
    private var position = 0
    private var path: [String] = []

    /// Creates a reader; `file` is what errors name.
    init(_ bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// An error at the value being read.
    func error(_ message: String, code: RepositoryError.Code = .damaged) -> RepositoryError {
        let name = path.joined()
        let place =
            name.isEmpty ? "the file" : String(name.first == "." ? name.dropFirst() : name[...])
        return RepositoryError(code, "\(place) \(message)", path: file, offset: position)
    }

    /// Checks that nothing but white space is left.
    mutating func end() throws(RepositoryError) {
        skipSpace()
        guard position == bytes.count else { throw error("is followed by something else") }
    }

    // MARK: Structure

    /// Reads an object; `member` reads or skips the value of each name.
    mutating func object(
        _ member: (inout JSONReader, String) throws(RepositoryError) -> Void
    ) throws(RepositoryError) {
        try open("{", "an object")
        var seen: [String] = []
        if try !closes("}") {
            repeat {
                let name = try text(upTo: 256)
                path.append("." + name)
                guard !seen.contains(name) else { throw error("occurs twice") }
                seen.append(name)
                guard seen.count <= 64 else { throw error("is one member too many") }
                skipSpace()
                try expect(":")
                try member(&self, name)
                path.removeLast()
            } while try continues("}")
        }
    }

    /// Reads an array; `element` reads each value.
    mutating func array(
        upTo limit: Int, _ element: (inout JSONReader, Int) throws(RepositoryError) -> Void
    ) throws(RepositoryError) {
        try open("[", "an array")
        var index = 0
        if try !closes("]") {
            repeat {
                path.append("[\(index)]")
                guard index < limit else { throw error("is beyond the limit of \(limit)") }
                try element(&self, index)
                path.removeLast()
                index += 1
            } while try continues("]")
        }
    }

    /// Reads a value and forgets it.
    mutating func skip() throws(RepositoryError) {
        guard path.count < Self.depthLimit else { throw error("is nested too deep") }
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"):
            try object { (reader, _) throws(RepositoryError) in try reader.skip() }
        case UInt8(ascii: "["):
            try array(upTo: .max) { (reader, _) throws(RepositoryError) in try reader.skip() }
        case UInt8(ascii: "\""): _ = try text(upTo: bytes.count)
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        default: try number()
        }
    }

    // MARK: Values

    /// Reads an integer from 0 to `limit`, written in decimal digits only.
    mutating func unsigned(upTo limit: UInt64 = .max) throws(RepositoryError) -> UInt64 {
        skipSpace()
        let start = position
        var value: UInt64 = 0
        while let digit = peek(), (0x30...0x39).contains(digit) {
            let (shifted, tooLong) = value.multipliedReportingOverflow(by: 10)
            let (sum, tooLarge) = shifted.addingReportingOverflow(UInt64(digit - 0x30))
            guard !tooLong, !tooLarge else { throw error("is more than a UInt64 holds") }
            value = sum
            position += 1
        }
        let isWhole = !([0x2E, 0x45, 0x65] as [UInt8?]).contains(peek())
        let leadingZero = position - start > 1 && bytes[start] == 0x30
        guard position > start, isWhole, !leadingZero else {
            throw error("is not a whole number from 0 on")
        }
        guard value <= limit else { throw error("is \(value), more than \(limit)") }
        return value
    }

    /// Reads an integer from 0 to `limit`.
    mutating func integer(upTo limit: Int) throws(RepositoryError) -> Int {
        Int(try unsigned(upTo: UInt64(limit)))
    }

    /// Reads a string of at most `limit` bytes of UTF-8.
    mutating func string(upTo limit: Int) throws(RepositoryError) -> String {
        try text(upTo: limit)
    }

    /// Reads bytes written in hexadecimal.
    mutating func hexadecimal(upTo limit: Int) throws(RepositoryError) -> [UInt8] {
        guard let value = Hexadecimal.bytes(try text(upTo: 2 * limit)) else {
            throw error("is not an even number of lower-case hexadecimal digits")
        }
        return value
    }

    /// Reads a number written as sixteen hexadecimal digits.
    mutating func hexadecimalNumber() throws(RepositoryError) -> UInt64 {
        guard let value = Hexadecimal.number(try text(upTo: 16)) else {
            throw error("is not sixteen lower-case hexadecimal digits")
        }
        return value
    }

    // MARK: Tokens

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(RepositoryError) {
        guard peek() == UInt8(ascii: character) else { throw error("lacks a '\(character)'") }
        position += 1
    }

    private mutating func open(
        _ character: Unicode.Scalar, _ what: String
    ) throws(RepositoryError) {
        guard path.count < Self.depthLimit else { throw error("is nested too deep") }
        skipSpace()
        guard peek() == UInt8(ascii: character) else { throw error("is not \(what)") }
        position += 1
    }

    private mutating func closes(_ character: Unicode.Scalar) throws(RepositoryError) -> Bool {
        skipSpace()
        guard peek() == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func continues(_ character: Unicode.Scalar) throws(RepositoryError) -> Bool {
        if try closes(character) { return false }
        try expect(",")
        return true
    }

    private mutating func word(_ word: String) throws(RepositoryError) {
        for byte in word.utf8 {
            guard peek() == byte else { throw error("is not JSON") }
            position += 1
        }
    }

    private mutating func number() throws(RepositoryError) {
        if peek() == UInt8(ascii: "-") { position += 1 }
        try digits()
        if peek() == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
            position += 1
            if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
    }

    private mutating func digits() throws(RepositoryError) {
        let start = position
        while let digit = peek(), (0x30...0x39).contains(digit) { position += 1 }
        guard position > start else { throw error("is not JSON") }
    }

    private mutating func text(upTo limit: Int) throws(RepositoryError) -> String {
        skipSpace()
        guard peek() == UInt8(ascii: "\"") else { throw error("is not a string") }
        position += 1
        var utf8: [UInt8] = []
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw error("has a control character") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                utf8 += try escape()
            } else {
                utf8.append(byte)
            }
            guard utf8.count <= limit else { throw error("is longer than \(limit) bytes") }
        }
        try expect("\"")
        guard let string = String(validating: utf8, as: UTF8.self) else {
            throw error("is not UTF-8")
        }
        return string
    }

    private mutating func escape() throws(RepositoryError) -> [UInt8] {
        guard let byte = peek() else { throw error("ends inside an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): break
        default: throw error("has an escape that JSON does not know")
        }
        var units = [try codeUnit()]
        if (0xD800...0xDBFF).contains(units[0]) {
            try word("\\u")
            units.append(try codeUnit())
        }
        guard let string = String(validating: units, as: UTF16.self) else {
            throw error("has half of a surrogate pair")
        }
        return Array(string.utf8)
    }

    private mutating func codeUnit() throws(RepositoryError) -> UInt16 {
        let digits = bytes[position...].prefix(4)
        // `UInt16` alone would take a sign before its digits.
        let areDigits = digits.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x46).contains($0 & 0xDF)
        }
        guard digits.count == 4, areDigits,
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw error("has an escape that is not four hexadecimal digits") }
        position += 4
        return unit
    }
}
