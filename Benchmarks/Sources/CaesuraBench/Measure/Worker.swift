import CMachine
import Foundation

/// A thread, bound to one core or not, whose result can be waited for.
final class Worker<Outcome: Sendable>: @unchecked Sendable {
    // `outcome` is written before the semaphore is signalled and read after it was waited for.
    private var outcome: Outcome?
    private let done = DispatchSemaphore(value: 0)

    /// - Parameter core: The core; nil for whichever is free.
    init(core: Int32?, _ body: @escaping @Sendable () -> Outcome) {
        let thread = Thread { [self] in
            if let core { _ = machine_pin(core) }
            outcome = body()
            done.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Waits for the thread's end.
    func wait() -> Outcome {
        done.wait()
        return outcome!
    }
}
