public import Synchronization

/// A mutual-exclusion lock for memory that the compiler does not know to be lock.
///
/// A `Mutex` whose lock and unlock stand apart, because what is done under it throws, returns noncopyable
/// values, or spans several locks. About 5 ns when nobody else holds it.
///
/// The thread sanitizer does not see into the Synchronization library of Linux; built with
/// `CAESURA_THREAD_SANITIZER`, the lock tells it what it does.
@usableFromInline
struct Lock: ~Copyable, Sendable {
    @usableFromInline let mutex = Mutex<Void>(())

    #if CAESURA_THREAD_SANITIZER
        nonisolated(unsafe) private let identity = UnsafeMutableRawPointer.allocate(
            byteCount: 1, alignment: 1)
        deinit { unsafe identity.deallocate() }
    #endif

    init() {}

    #if CAESURA_THREAD_SANITIZER
        @usableFromInline func lock() {
            mutex._unsafeLock()
            unsafe threadSanitizerAcquire(identity)
        }

        @usableFromInline func unlock() {
            unsafe threadSanitizerRelease(identity)
            mutex._unsafeUnlock()
        }

        /// Takes the lock if nobody has it, not even this thread; whether it did.
        func tryLock() -> Bool {
            guard mutex._unsafeTryLock() else { return false }
            unsafe threadSanitizerAcquire(identity)
            return true
        }
    #else
        /// Waits for the lock.
        @inlinable @inline(__always) func lock() { mutex._unsafeLock() }

        /// Gives the lock back.
        @inlinable @inline(__always) func unlock() { mutex._unsafeUnlock() }

        /// Takes the lock if nobody has it, not even this thread; whether it did.
        func tryLock() -> Bool { mutex._unsafeTryLock() }
    #endif

    /// Runs `body` under the lock.
    func withLock<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock()
        defer { unlock() }
        return try body()
    }
}

/// A value that is only used under a lock of its own, which the thread sanitizer sees.
package final class Guarded<Value>: @unchecked Sendable {
    // @unchecked: `value` is used in `withLock` only.

    private let lock = Lock()
    private var value: Value

    package init(_ value: Value) { self.value = value }

    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}

#if CAESURA_THREAD_SANITIZER
    @_silgen_name("__tsan_acquire")
    private func threadSanitizerAcquire(_ address: UnsafeMutableRawPointer)
    @_silgen_name("__tsan_release")
    private func threadSanitizerRelease(_ address: UnsafeMutableRawPointer)
#endif
