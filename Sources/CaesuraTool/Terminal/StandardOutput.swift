import Foundation

/// The process's standard output: everything that is a result goes through here, so that a result that did not
/// arrive is an error.
enum StandardOutput {
    /// Writes text.
    static func write(_ text: String) throws(ToolError) { try write(Array(text.utf8)) }

    /// Writes a result for scripts: JSON with sorted keys, so that two runs can be compared line by line.
    static func writeJSON(_ result: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try write([UInt8](try encoder.encode(result)) + [UInt8(ascii: "\n")])
    }

    /// Writes one of several results for scripts: JSON with sorted keys in a line of its own.
    static func writeJSONLine(_ result: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write([UInt8](try encoder.encode(result)) + [UInt8(ascii: "\n")])
    }

    /// Writes all bytes, without a copy: they come by the hundred megabytes.
    static func write(_ bytes: [UInt8]) throws(ToolError) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                // SAFETY: the system reads `bytes` from `written` to its end.
                unsafe Foundation.write(
                    STDOUT_FILENO, bytes.baseAddress! + written, bytes.count - written)
            }
            if count < 0 {
                let code = errno
                try Interruption.check()
                if code == EINTR { continue }
                throw ToolError("cannot write to standard output: \(systemErrorText(code))")
            }
            written += count
        }
    }
}
