#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The thread that maps a pool's next slabs before a writer needs them.
@safe
final class PreparingThread: @unchecked Sendable {
    // @unchecked: `wanted` and `isStopped` are under `lock`; `pool` and `thread` are set once, by `start`.

    private let lock: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let wake: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private var wanted = 0
    private var isStopped = false
    /// The pool waits for the thread's end before it goes.
    private unowned(unsafe) var pool: PagePool!
    #if canImport(Darwin)
        private var thread: pthread_t!
    #else
        private var thread = pthread_t()
    #endif

    init() {
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(wake, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(wake)
        unsafe pthread_mutex_destroy(lock)
        unsafe lock.deallocate()
        unsafe wake.deallocate()
    }

    func start(_ pool: PagePool) {
        unsafe self.pool = pool
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let failure = unsafe pthread_create(
            &thread, nil,
            { context in
                #if canImport(Darwin)
                    let context = unsafe Optional(context)
                #endif
                unsafe Unmanaged<PreparingThread>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, unsafe context)
        precondition(failure == 0, "no thread can be started")
    }

    /// Asks for `byteCount` bytes.
    func request(_ byteCount: Int) {
        unsafe pthread_mutex_lock(lock)
        wanted = byteCount
        unsafe pthread_mutex_unlock(lock)
        unsafe pthread_cond_signal(wake)
    }

    /// Ends the thread and waits for its end: as long as it takes to touch what it has begun to map.
    func stop() {
        unsafe pthread_mutex_lock(lock)
        isStopped = true
        unsafe pthread_mutex_unlock(lock)
        unsafe pthread_cond_signal(wake)
        if pthread_equal(pthread_self(), thread) != 0 {
            // The pool's last reference was this thread's own, while it mapped.
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }

    private func run() {
        while true {
            unsafe pthread_mutex_lock(lock)
            while wanted == 0 && !isStopped { unsafe pthread_cond_wait(wake, lock) }
            let byteCount = wanted
            wanted = 0
            let isLast = isStopped
            unsafe pthread_mutex_unlock(lock)
            if isLast { return }
            unsafe pool.prepare(byteCount)
        }
    }
}
