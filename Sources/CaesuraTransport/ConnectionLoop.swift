import NIOCore
import NIOPosix

/// A thread with an event loop: for connections, and for an actor that speaks over them.
///
///     let loop = ConnectionLoop()
///     let connection = try await NodeConnection.dial("node-b", at: host, port: 7400, security: security, on: loop)
///
///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }
///
/// The actor sends and receives without a change of thread, which on a busy machine takes longer than a small message. What it does
/// keeps its connections from being read and written meanwhile: it should do no more than some milliseconds' work at a time, and
/// go on by ``afterInput(_:)``.
public final class ConnectionLoop: Sendable {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop

    /// Starts the thread; it ends once the loop is let go, and its connections and listeners are closed.
    public init() { loop = group.next() }

    deinit { group.shutdownGracefully { _ in } }

    /// Runs jobs on the thread, one after the other; valid as long as the loop is there.
    public var executor: UnownedSerialExecutor { unsafe loop.executor.asUnownedSerialExecutor() }

    /// Calls `body` on the thread a little later, so that what has come meanwhile is read before, unless other jobs keep the thread.
    ///
    /// The loop reads nothing as long as jobs are enqueued, so who enqueues itself again and again would keep input away.
    public func afterInput(_ body: @escaping @Sendable () -> Void) {
        loop.scheduleTask(in: Self.pause, body)
    }

    /// What is due later than at once is done after input.
    private static let pause = TimeAmount.microseconds(10)
}
