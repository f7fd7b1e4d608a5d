import Foundation
import Synchronization

/// Ctrl-C and `kill`: the first asks the work to stop and clean up, the second ends the process at once.
///
/// Work that does not notice within a second, because it waits for input on another thread than the one that
/// got the signal, is ended: a repository is whole whenever its writer ends.
enum Interruption {
    private static let requested = Atomic(false)
    /// The handler writes to it, a thread waits for that.
    private static let bell = Pipe()
    private static let bellDescriptor = bell.fileHandleForWriting.fileDescriptor
    /// Milliseconds for the work to stop by itself.
    private static let patience: Int32 = 1_000

    /// Whether the person wants the work to stop.
    static var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// Throws ``ToolError/interrupted`` if the person wants the work to stop; call it in every long loop.
    static func check() throws(ToolError) {
        if isRequested { throw .interrupted }
    }

    /// Listens from now on.
    static func install() {
        // A global is set up at its first use, which must not be inside the handler.
        _ = isRequested
        _ = bellDescriptor
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in
            Interruption.requested.store(true, ordering: .relaxed)
            var ring: UInt8 = 1
            _ = unsafe write(Interruption.bellDescriptor, &ring, 1)
        }
        // No SA_RESTART: a read that waits for a pipe comes back. SA_RESETHAND: the second signal kills.
        action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM] {
            unsafe sigaction(signal, &action, nil)
            unsafe sigaddset(&signals, signal)
        }
        // Who has started the process may have blocked them, and a mask is handed on.
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        Thread.detachNewThread {
            _ = try? bell.fileHandleForReading.read(upToCount: 1)
            _ = poll(nil, 0, patience)
            CaesuraCommand.fail(.interrupted)
        }
    }
}

/// Runs `body` and cancels it when the person wants to stop; then throws ``ToolError/interrupted``.
func stopping<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    let work = Task { try await body() }
    let watch = Task {
        while !Task.isCancelled {
            if Interruption.isRequested { return work.cancel() }
            try? await Task.sleep(nanoseconds: 50_000_000)
        }
    }
    defer { watch.cancel() }
    let result = await work.result
    try Interruption.check()
    return try result.get()
}
