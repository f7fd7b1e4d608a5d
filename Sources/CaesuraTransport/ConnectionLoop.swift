import NIOCore
import NIOPosix

/// A thread with an event loop: for connections, and for an actor that speaks over them.
///
///     let loop = ConnectionLoop()
///     let connection = try await NodeConnection.dial(
///         "node-b", at: host, port: 7400, security: security, on: loop)
///
///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
///
///     Task(executorPreference: loop) { for try await message in connection.messages { … } }
///
/// The actor sends and receives without a change of thread, which on a busy machine takes longer than a small message. Its tasks need
/// the loop as their preference: without one, who awaits a continuation is resumed on the cooperative pool, which may be busy for
/// long, and goes to the actor only from there.
///
/// What is done on the loop keeps its connections from being read and written meanwhile: it should be no more than some milliseconds'
/// work at a time, and go on by ``afterInput(_:)``.
public final class ConnectionLoop: SerialExecutor, TaskExecutor {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop

    /// Starts the thread; it ends once the loop is let go, and its connections and listeners are closed.
    public init() { loop = group.next() }

    deinit { group.shutdownGracefully { _ in } }

    /// Runs a job on the thread, behind those before it.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // As both: a task that prefers the loop and comes to an actor on it goes on at once.
        loop.execute {
            unsafe job.runSynchronously(
                isolatedTo: self.asUnownedSerialExecutor(),
                taskExecutor: self.asUnownedTaskExecutor())
        }
    }

    /// Stops the program if this is another thread.
    public func checkIsolated() { loop.preconditionInEventLoop() }

    /// Calls `body` on the thread after a time.
    ///
    /// - Returns: What has it not be called any more.
    package func schedule(
        in time: Duration, _ body: @escaping @Sendable () -> Void
    ) -> @Sendable () -> Void {
        let scheduled = loop.scheduleTask(in: TimeAmount(time), body)
        return { scheduled.cancel() }
    }

    /// Waits without the cooperative pool, by way of which `Task.sleep` goes on; cancelling the task ends no wait.
    package func sleep(for time: Duration) async {
        await withCheckedContinuation { continuation in
            loop.scheduleTask(in: TimeAmount(time)) { continuation.resume() }
        }
    }

    /// Calls `body` on the thread a little later, so that what has come meanwhile is read before, unless other jobs keep the thread.
    ///
    /// The loop reads nothing as long as jobs are enqueued, so who enqueues itself again and again would keep input away.
    public func afterInput(_ body: @escaping @Sendable () -> Void) {
        loop.scheduleTask(in: Self.pause, body)
    }

    /// What is due later than at once is done after input.
    private static let pause = TimeAmount.microseconds(10)
}
