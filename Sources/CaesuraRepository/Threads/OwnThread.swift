#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Threads of the repository's own.
///
/// Encoding, decoding and file calls take seconds and block. On the cooperative pool, which has a thread
/// a core, they would stop the service; a thread of one's own costs 20 us to make. So the few threads of
/// a checkpoint are made when it begins and end with it.
package enum OwnThread {
    /// Runs `body` on a new thread and waits for it without blocking the caller's.
    nonisolated(nonsending) static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws(RepositoryError) -> Result
    ) async throws(RepositoryError) -> Result {
        let result = await withCheckedContinuation { continuation in
            start {
                let result: Swift.Result<Result, RepositoryError>
                do throws(RepositoryError) {
                    result = .success(try body())
                } catch {
                    result = .failure(error)
                }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// Runs `body` on `count` new threads, `alongside` on this one, and waits for all.
    static func run(
        _ count: Int, _ body: @escaping @Sendable () -> Void, alongside: () -> Void = {}
    ) {
        let running = Monitor(count)
        for _ in 0..<count {
            start {
                body()
                running.withLock { $0 -= 1 }
            }
        }
        alongside()
        running.wait { $0 == 0 ? () : nil }
    }

    /// Runs `body` on a new thread, and blocks this one until it has ended.
    ///
    /// So nothing of what it makes of its thread, such as a lower priority, stays with the caller's.
    package static func wait<Result: Sendable, Failure: Error>(
        for body: @escaping @Sendable () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let outcome = Monitor<Swift.Result<Result, Failure>?>(nil)
        start {
            let result: Swift.Result<Result, Failure>
            do throws(Failure) {
                result = .success(try body())
            } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
        }
        return try outcome.wait { $0 }.get()
    }

    /// Lets the threads of the service run before this one, which is the repository's own.
    ///
    /// With more threads than processors, the scheduler would else give a checkpoint's encoder whole time
    /// slices, 3 to 5 ms, of a writer's processor.
    static func stepBack() {
        #if canImport(Darwin)
            pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
        #else
            // Of Linux only: there PRIO_PROCESS, which is 0, means a thread. Refused, it changes nothing.
            _ = setpriority(0, 0, 10)
        #endif
    }

    /// The number of threads that can run at the same time.
    static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Nanoseconds that this thread has been running on a processor.
    static var processorTime: UInt64 {
        var time = timespec()
        // SAFETY: `time` is ours for the duration of the call.
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` on a new thread that nobody waits for.
    package static func start(_ body: @escaping @Sendable () -> Void) {
        // SAFETY: the retained body is handed to exactly one thread, which releases it.
        let context = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let result = unsafe pthread_create(
            &thread, nil,
            { context in
                #if canImport(Darwin)
                    unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                #else
                    unsafe Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                #endif
                return nil
            }, context)
        precondition(result == 0, "the system gives no thread: raise its limit (ulimit -u)")
        #if canImport(Darwin)
            unsafe pthread_detach(thread!)
        #else
            pthread_detach(thread)
        #endif
    }
}
