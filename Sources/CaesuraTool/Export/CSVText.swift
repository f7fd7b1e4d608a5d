/// Cells as CSV has them.
enum CSVText {
    /// Appends a cell, between quotes where RFC 4180 asks for them and where it would look like an absent
    /// value.
    static func append(_ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        let quote = UInt8(ascii: "\"")
        let needsQuotes =
            unsafe text.isEmpty
            || text.contains { $0 == quote || $0 == UInt8(ascii: ",") || $0 == 10 || $0 == 13 }
        guard needsQuotes else { return unsafe bytes.append(contentsOf: text) }
        bytes.append(quote)
        for index in 0..<text.count {
            let byte = unsafe text[index]
            if byte == quote { bytes.append(quote) }
            bytes.append(byte)
        }
        bytes.append(quote)
    }

    /// A cell.
    static func cell(_ string: String) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe Array(string.utf8).withUnsafeBytes { unsafe append($0, to: &bytes) }
        return bytes
    }
}
