/// Writes JSON for people: members in the caller's order, two spaces a level, and small objects on a
/// line of their own.
struct JSONWriter {
    /// What has been written.
    private(set) var bytes: [UInt8] = []
    private var depth = 0
    private var isFirst = true
    private var isCompact = false

    /// Writes the object that is the document; the caller adds what follows its last member.
    mutating func openDocument() {
        write("{")
        depth = 1
        isFirst = true
    }

    /// A member whose value is an object or, where `compact` is set, one on this line.
    mutating func object(
        _ name: String? = nil, compact: Bool = false, _ members: (inout JSONWriter) -> Void
    ) {
        group(name, "{", "}", compact: compact, members)
    }

    /// A member whose value is an array.
    mutating func array(_ name: String, _ elements: (inout JSONWriter) -> Void) {
        group(name, "[", "]", compact: false, elements)
    }

    /// A member whose value is a whole number.
    mutating func number(_ name: String, _ value: some BinaryInteger) {
        begin(name)
        write(String(value))
    }

    /// A member, or without a name an element, that is a string.
    mutating func string(_ name: String? = nil, _ value: String) {
        begin(name)
        quote(value)
    }

    /// Begins a member whose value the caller appends.
    mutating func begin(_ name: String?) {
        if !isFirst { write(isCompact ? ", " : ",") }
        if !isCompact { newLine() }
        isFirst = false
        if let name {
            quote(name)
            write(": ")
        }
    }

    private mutating func group(
        _ name: String?, _ open: String, _ close: String, compact: Bool,
        _ content: (inout JSONWriter) -> Void
    ) {
        begin(name)
        write(open)
        let outer = isCompact
        isCompact = outer || compact
        isFirst = true
        depth += 1
        content(&self)
        depth -= 1
        if !isFirst && !isCompact { newLine() }
        write(close)
        isCompact = outer
        isFirst = false
    }

    private mutating func newLine() {
        write("\n")
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * depth))
    }

    private mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func quote(_ text: String) {
        write("\"")
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): write("\\\"")
            case UInt8(ascii: "\\"): write("\\\\")
            case 0..<0x20, 0x7F: write("\\u00" + Hexadecimal.text(CollectionOfOne(byte)))
            default: bytes.append(byte)
            }
        }
        write("\"")
    }
}
