import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// A connection of two simulated nodes: frames arrive in order, or it is broken.
final class SimulatedConnection {
    /// A node's end.
    struct End {
        var node: Int
        /// The process that has opened it: another one of the node does not get what comes.
        var process: UInt64
        var link: Node.Link
        /// What has come from the other side.
        var reader = FrameReaderBox()
        /// When what was sent last arrives.
        var arrival = Duration.zero
        var isOpen = true
    }

    /// That of who has opened it, and that of who was dialled.
    var ends: (End, End)
    /// Whether what is sent gets lost, and nobody knows yet.
    var isHalfOpen = false

    init(_ opener: End, _ other: End) { ends = (opener, other) }

    /// An end.
    subscript(isOpener: Bool) -> End {
        get { isOpener ? ends.0 : ends.1 }
        set { if isOpener { ends.0 = newValue } else { ends.1 = newValue } }
    }
}

/// A reader of frames that can be held in a value.
final class FrameReaderBox {
    private var reader = FrameReader()

    /// Takes bytes, and gives what is whole.
    func push(_ bytes: [UInt8]) -> Result<[(UInt64, MigrationMessage)], FormatError> {
        unsafe bytes.withUnsafeBytes { bytes in
            var rest = unsafe bytes
            var messages: [(UInt64, MigrationMessage)] = []
            do throws(FormatError) {
                while let next = unsafe try reader.next(from: &rest) { messages.append(next) }
            } catch {
                return .failure(error)
            }
            return .success(messages)
        }
    }
}
