import Foundation

/// The process's standard output, for bytes that come by the hundred megabytes.
enum StandardOutput {
    /// Writes all bytes, without a copy.
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
