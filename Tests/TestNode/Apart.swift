import Foundation

/// What a trial needs of the system, and what it is denied.
///
/// A trial that mounts or connects something runs in namespaces of its own: nothing of it is seen outside, and all is gone
/// with its processes, whatever ends them. Any user may have them where the system lets users.
enum Apart {
    /// The trial is not permitted here, and why.
    struct Denial: Error, CustomStringConvertible {
        let description: String
    }

    /// How a process ends that is denied something: `EX_NOPERM` of `sysexits.h`.
    static let deniedStatus: Int32 = 77
    private static let mark = "CAESURA_TRIAL_APART"

    /// Goes on in namespaces of its own for mounts, and for the network if it is asked for; a process of its own runs this
    /// command once more from its beginning, and returns from here.
    static func enter(network: Bool = false) throws {
        if ProcessInfo.processInfo.environment[mark] != nil { return }
        var words = ["unshare", "--mount"]
        if geteuid() != 0 { words.append("--map-root-user") }
        if network {
            // Foundation does not start processes where there is no loopback.
            words += ["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]
        }
        // Asked for by itself first: a command that has taken its place could not say any more who denied what.
        try run(words + ["true"])
        _ = unsafe setenv(mark, "1", 1)
        words += [Child.program] + CommandLine.arguments.dropFirst()
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        _ = unsafe execvp(arguments[0]!, &arguments)
        throw Denial(description: "cannot run unshare: errno \(errno)")
    }

    /// Runs a command that prepares something.
    static func run(_ words: [String]) throws(Denial) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        do { try process.run() } catch { throw Denial(description: "\(words): \(error)") }
        // It says less than a pipe holds.
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
            throw Denial(description: words.joined(separator: " ") + ": " + text)
        }
    }

    /// Ends the process with the reason if it was denied something, and with success else.
    static func reporting<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let denial as Denial {
            print("not permitted here: \(denial)")
            exit(deniedStatus)
        }
    }
}
