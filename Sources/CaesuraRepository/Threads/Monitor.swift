#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// State that threads share and wait on: a mutex and a condition.
///
/// For threads of one's own only: waiting blocks the thread, which on the cooperative pool would
/// take it from everyone else.
@safe
package final class Monitor<State>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `state` is touched only while the mutex is held. The mutex and the
    // condition live at fixed addresses, initialised before and destroyed after every use.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    package init(_ state: State) {
        self.state = state
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe changed.initialize(to: pthread_cond_t())
        #if canImport(Darwin)
            let isInitialized = unsafe pthread_cond_init(changed, nil) == 0
        #else
            var attributes = pthread_condattr_t()
            // SAFETY: the attributes are ours; a clock that nobody sets is what waiting is measured by.
            let isInitialized =
                unsafe pthread_condattr_init(&attributes) == 0
                && pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0
                && pthread_cond_init(changed, &attributes) == 0
            unsafe pthread_condattr_destroy(&attributes)
        #endif
        let made = unsafe isInitialized && pthread_mutex_init(mutex, nil) == 0
        precondition(made, "a mutex and a condition with default attributes can be made")
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` alone, and wakes those that wait.
    package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        let result = body(&state)
        unsafe pthread_mutex_unlock(mutex)
        // Whoever is woken finds the mutex free.
        unsafe pthread_cond_broadcast(changed)
        return result
    }

    /// Runs `body` alone, again after each change, until it gives a result; then wakes those that wait.
    ///
    /// While it gives none, it must change nothing: nobody would be woken to see it.
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(changed)
            unsafe pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = body(&state) { return result }
            unsafe pthread_cond_wait(changed, mutex)
        }
    }

    /// As ``wait(_:)``, but for no longer than a time.
    ///
    /// - Returns: The result, or nil when the time is over.
    package func wait<Result>(
        upTo time: Duration, _ body: (inout State) -> Result?
    ) -> Result? {
        let end = ContinuousClock.now + time
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(changed)
            unsafe pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = body(&state) { return result }
            let left = end - .now
            guard left > .zero else { return nil }
            wait(for: left)
        }
    }

    /// Waits for a change, with the mutex held, for about so long at most.
    private func wait(for time: Duration) {
        let (seconds, attoseconds) = time.components
        var limit = timespec()
        #if canImport(Darwin)
            limit.tv_sec = Int(seconds)
            limit.tv_nsec = Int(attoseconds / 1_000_000_000)
            _ = unsafe pthread_cond_timedwait_relative_np(changed, mutex, &limit)
        #else
            unsafe clock_gettime(CLOCK_MONOTONIC, &limit)
            let nanoseconds = Int64(limit.tv_nsec) + attoseconds / 1_000_000_000
            limit.tv_sec += Int(seconds + nanoseconds / 1_000_000_000)
            limit.tv_nsec = Int(nanoseconds % 1_000_000_000)
            _ = unsafe pthread_cond_timedwait(changed, mutex, &limit)
        #endif
    }
}
