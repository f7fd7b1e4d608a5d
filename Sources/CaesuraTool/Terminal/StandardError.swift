import Foundation

/// The process's standard error, for people.
///
/// Nothing is to be done where it cannot be written: the exit code still says how the work ended.
enum StandardError {
    /// Writes what can be written.
    static func write(_ text: String) {
        // FileHandle's write without `contentsOf` would end the process.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
