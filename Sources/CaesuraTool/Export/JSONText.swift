/// Strings as JSON has them.
enum JSONText {
    /// Appends UTF-8 between quotes, escaped as RFC 8259 section 7 asks.
    static func append(_ text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        for index in 0..<text.count {
            let byte = unsafe text[index]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
            // What needs no escape goes in one piece.
            unsafe bytes.append(contentsOf: text[start..<index])
            start = index + 1
            bytes.append(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\n"): bytes.append(UInt8(ascii: "n"))
            case UInt8(ascii: "\r"): bytes.append(UInt8(ascii: "r"))
            case UInt8(ascii: "\t"): bytes.append(UInt8(ascii: "t"))
            case ..<0x20:
                bytes.append(contentsOf: "u00".utf8)
                ScalarText.appendHexadecimal(byte, to: &bytes)
            default: bytes.append(byte)
            }
        }
        unsafe bytes.append(contentsOf: text[start...])
        bytes.append(UInt8(ascii: "\""))
    }

    /// A string between quotes.
    static func quoted(_ string: String) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe Array(string.utf8).withUnsafeBytes { unsafe append($0, to: &bytes) }
        return bytes
    }
}
