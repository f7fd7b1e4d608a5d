import CaesuraRepository

/// The thread of a node.
///
/// What a node does takes up to the time of a chunk: on the cooperative pool, which has a thread a core, requests would wait for
/// that, and handovers for requests. On a thread of its own, the system shares the processors out.
final class NodeThread: SerialExecutor {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let queue = Monitor(Queue())

    /// Starts the thread; it runs until ``stop()``.
    init() { OwnThread.start { [self] in run() } }

    /// Ends the thread when what is enqueued is done.
    func stop() { queue.withLock { $0.isStopped = true } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.withLock { $0.jobs.append(job) }
    }

    private func run() {
        while let jobs = next() {
            // SAFETY: the thread holds this object until it ends.
            for job in jobs { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
        }
    }

    /// What is enqueued, once there is something; nil at the end.
    private func next() -> [UnownedJob]? {
        queue.wait { queue -> [UnownedJob]?? in
            if queue.jobs.isEmpty { return queue.isStopped ? .some(nil) : nil }
            defer { queue.jobs = [] }
            return .some(queue.jobs)
        }
    }
}
