import Caesura
import CaesuraNode
import ServiceLifecycle

/// Removes, now and then, the last replies to clients that will not ask for them again.
struct SilentClients: Service {
    let replies: ReplyTable

    /// Longer than any client sends a visit again.
    private static let silence = Duration.seconds(3_600)
    private static let interval = Duration.seconds(60)

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                let seconds =
                    Timestamp.now.microseconds / 1_000_000 - Self.silence.components.seconds
                replies.removeSilent(before: Timestamp(microseconds: seconds * 1_000_000))
            }
        }
    }
}
