/// What went wrong, what to do about it, and the exit code that says so to a script.
struct ToolError: Error, Equatable {
    /// The numbers the process ends with besides 0.
    enum ExitCode: Int32 {
        /// The work failed.
        case failure = 1
        /// The command line was wrong: `EX_USAGE` of `sysexits.h`.
        case usage = 64
        /// Stored bytes are damaged: `EX_DATAERR`.
        case damage = 65
        /// Another writer has the repository: `EX_TEMPFAIL`.
        case locked = 75
        /// Ctrl-C: 128 and the signal's number, as shells count.
        case interrupted = 130
    }

    /// What happened and where, in one sentence without a full stop.
    var message: String
    /// What to do now.
    var hint: String?
    /// The number the process ends with.
    var exitCode: ExitCode

    init(_ message: String, hint: String? = nil, exitCode: ExitCode = .failure) {
        self.message = message
        self.hint = hint
        self.exitCode = exitCode
    }

    /// Ctrl-C, once everything is cleaned up.
    static let interrupted = ToolError("interrupted", exitCode: .interrupted)

    /// The lines for the person at the terminal.
    var text: String {
        var text = "caesura: error: \(message)\n"
        if let hint { text += "caesura: hint: \(hint)\n" }
        return text
    }
}
