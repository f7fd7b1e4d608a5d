import CaesuraMigration
import CaesuraNode
import CaesuraTransport

/// Messages that wait to go together, by connection, in their order.
struct Unsent {
    private var messages: [Node.Link: [NodeConnection.Element]] = [:]
    /// Bytes of their chunks.
    private(set) var byteCount = 0

    var isEmpty: Bool { messages.isEmpty }

    mutating func append(_ message: MigrationMessage, about move: UInt64, to link: Node.Link) {
        messages[link, default: []].append((move, message))
        if case .chunk(let bytes) = message { byteCount += bytes.count }
    }

    mutating func takeAll() -> [Node.Link: [NodeConnection.Element]] {
        byteCount = 0
        defer { messages = [:] }
        return messages
    }
}
