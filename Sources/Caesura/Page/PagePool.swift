#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The memory that pages and directory nodes come from: arenas of huge pages, touched before a writer
/// needs them.
///
///     arena    one mapping, handed out from its start; never given back to the system
///     spare    the next arena: a thread maps and touches it while the present one is in use
///     free     blocks that came back, one list a size class
///
/// A first touch of fresh memory costs a page fault: 0.2-0.7 us for 4 KiB on bare metal, 12 us and more
/// under nested paging. So the writer never pays it: a thread prepares the next arena when half of the
/// present one is gone. If writers use memory up faster than that, the one that finds it gone maps an
/// arena itself, which is counted (``coldArenas``).
///
/// Sizes have 8 classes a doubling, from 512 bytes to 64 KiB, so a block is at most an eighth larger than
/// asked; what is over is the page's spare heap.
@usableFromInline
final class PagePool: @unchecked Sendable {
    // @unchecked: everything mutable is under `mutex`; `preparation` has its own.

    @safe
    private struct State {
        var free: [UnsafeMutableRawPointer?]
        var bump: UnsafeMutableRawPointer
        var end: UnsafeMutableRawPointer
        /// Half of the present arena: with less left, the next is prepared.
        var half: Int
        /// The size of the last arena that was asked of the thread.
        var preparedSize: Int
        var spare: Arena?
        var isPreparing = false
        var arenas: [Arena] = []
        var coldArenas = 0
        var inUse = 0
    }

    @safe
    private struct Arena {
        let base: UnsafeMutableRawPointer
        let size: Int
    }

    private let mutex = Lock()
    private var state: State
    private let preparation: Preparation

    static let smallestBlock = 512
    static let largestBlock = 65_536
    private static let classesPerDoubling = 8
    static let classCount = 7 * classesPerDoubling + 1
    /// The first arena: one huge page.
    ///
    /// It takes 0.07 ms to map and touch (2.4 GHz EPYC), where the 256 small pages of half its size take
    /// 0.6 ms. Each next arena is twice as large, up to ``largestArena``.
    private static let firstArena = 2 << 20
    /// Mapping and touching this many bytes takes the thread 5 to 10 ms, in which writers at full speed
    /// use up no more than the other half of the arena before it.
    private static let largestArena = 64 << 20
    /// What a writer maps itself when nothing is prepared.
    ///
    /// Small pages, 0.2 ms for them: a huge page is faster to touch, unless the kernel has to make room for it
    /// first, which has no bound.
    private static let coldArena = 256 << 10

    init() {
        preparation = Preparation()
        let first = Self.map(Self.firstArena)
        state = unsafe State(
            free: Array(repeating: nil, count: Self.classCount), bump: first.base,
            end: first.base + first.size, half: first.size / 2, preparedSize: first.size,
            arenas: [first])
        preparation.start(self)
    }

    deinit {
        preparation.stop()
        for arena in state.arenas { unsafe munmap(arena.base, arena.size) }
        if let spare = state.spare { unsafe munmap(spare.base, spare.size) }
    }

    /// The class of the smallest block of at least `byteCount` bytes, and its size.
    static func sizeClass(atLeast byteCount: Int) -> (index: Int, size: Int) {
        let wanted = max(byteCount, smallestBlock)
        // The doubling that holds `wanted`: base < wanted <= 2 * base, or wanted is the smallest.
        let doubling = max(
            0,
            Int.bitWidth - (wanted - 1).leadingZeroBitCount - 1 - smallestBlock.trailingZeroBitCount
        )
        let base = smallestBlock << doubling
        let step = base / classesPerDoubling
        let steps = (wanted - base + step - 1) / step
        return (doubling * classesPerDoubling + steps, base + steps * step)
    }

    /// A block of at least `byteCount` bytes; its contents mean nothing.
    func allocate(atLeast byteCount: Int) -> (
        base: UnsafeMutableRawPointer, size: Int, sizeClass: Int
    ) {
        let (index, size) = Self.sizeClass(atLeast: byteCount)
        precondition(size <= Self.largestBlock, "a block is at most 64 KiB")
        mutex.lock()
        defer { mutex.unlock() }
        state.inUse += size
        if let block = unsafe state.free[index] {
            unsafe state.free[index] = unsafe block.assumingMemoryBound(to: Retirable.self).pointee
                .next
            return unsafe (block, size, index)
        }
        if unsafe state.end - state.bump < size { nextArena() }
        let block = unsafe state.bump
        unsafe state.bump += size
        if state.spare == nil, !state.isPreparing,
            unsafe state.end - state.bump < state.half
        {
            state.isPreparing = true
            state.preparedSize = min(state.preparedSize * 2, Self.largestArena)
            preparation.request(state.preparedSize)
        }
        return unsafe (block, size, index)
    }

    /// Takes a block back.
    func free(_ block: UnsafeMutableRawPointer, sizeClass index: Int) {
        mutex.lock()
        defer { mutex.unlock() }
        state.inUse -= Self.size(ofClass: index)
        unsafe block.assumingMemoryBound(to: Retirable.self).pointee.next = unsafe state.free[index]
        unsafe state.free[index] = unsafe block
    }

    /// Takes a page back.
    func free(_ page: Page) {
        unsafe free(page.base, sizeClass: Int(page.header.pointee.sizeClass))
    }

    /// Takes many blocks back under one lock, and frees the large values among them; their bytes.
    func free(retired blocks: consuming FreedBlocks) -> Int {
        let bytes = blocks.byteCount
        mutex.lock()
        defer { mutex.unlock() }
        blocks.forEachChain { index, first, last, count in
            state.inUse -= Self.size(ofClass: index) * count
            unsafe last.assumingMemoryBound(to: Retirable.self).pointee.next =
                unsafe state.free[index]
            unsafe state.free[index] = unsafe first
        }
        return bytes
    }

    /// Takes one replaced block back; its bytes.
    func free(retired block: UnsafeMutableRawPointer) -> Int {
        var blocks = FreedBlocks()
        unsafe blocks.append(block)
        return free(retired: blocks)
    }

    static func size(ofClass index: Int) -> Int {
        let base = smallestBlock << (index / classesPerDoubling)
        return base + index % classesPerDoubling * (base / classesPerDoubling)
    }

    /// Memory mapped from the system, memory in blocks handed out, and arenas that no thread prepared.
    var statistics: (mapped: Int, inUse: Int, coldArenas: Int) {
        mutex.withLock {
            let mapped = state.arenas.reduce(state.spare?.size ?? 0) { $0 + $1.size }
            return (mapped, state.inUse, state.coldArenas)
        }
    }

    /// Makes sure that `byteCount` bytes can be handed out without a page fault.
    ///
    /// For whoever knows that a burst is coming; blocks the caller, not the writers.
    func prefault(_ byteCount: Int) {
        let arena = Self.map(max(byteCount, Self.firstArena))
        mutex.withLock {
            // What is left of the present arena goes to the free lists.
            giveUpRest()
            state.arenas.append(arena)
            unsafe state.bump = unsafe arena.base
            unsafe state.end = unsafe arena.base + arena.size
            state.half = arena.size / 2
        }
    }

    private func nextArena() {
        giveUpRest()
        let arena: Arena
        if let spare = state.spare {
            arena = spare
            state.spare = nil
        } else {
            state.coldArenas += 1
            arena = Self.map(Self.coldArena, hugePages: false)
        }
        state.arenas.append(arena)
        unsafe state.bump = unsafe arena.base
        unsafe state.end = unsafe arena.base + arena.size
        state.half = arena.size / 2
    }

    /// Puts what is left of the arena, less than a block, on the free lists.
    private func giveUpRest() {
        while unsafe state.end - state.bump >= Self.smallestBlock {
            var (index, size) = unsafe Self.sizeClass(
                atLeast: min(state.end - state.bump, Self.largestBlock))
            if unsafe size > state.end - state.bump {
                index -= 1
                size = Self.size(ofClass: index)
            }
            unsafe state.bump.assumingMemoryBound(to: Retirable.self).pointee.next =
                unsafe state.free[index]
            unsafe state.free[index] = unsafe state.bump
            unsafe state.bump += size
        }
    }

    fileprivate func prepare(_ size: Int) {
        let arena = Self.map(size)
        mutex.withLock {
            state.isPreparing = false
            state.spare = arena
        }
    }

    /// Maps an arena and touches all of it.
    private static func map(_ size: Int, hugePages: Bool = true) -> Arena {
        let huge = 2 << 20
        let aligned = size.rounded(upToMultipleOf: 4_096)
        // A mapping that is larger by one huge page can be cut to a huge-page boundary.
        let slack = hugePages && aligned >= huge ? huge : 0
        guard
            let mapped = unsafe mmap(
                nil, aligned + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe mapped != MAP_FAILED
        else { fatalError("caesura: out of memory: mmap of \(size) bytes failed") }
        var base = unsafe mapped
        if slack > 0 {
            let start = UInt(bitPattern: mapped)
            let cut = (start + UInt(huge) - 1) / UInt(huge) * UInt(huge) - start
            if cut > 0 { unsafe munmap(mapped, Int(cut)) }
            unsafe base = unsafe mapped + Int(cut)
            if slack > Int(cut) { unsafe munmap(base + aligned, slack - Int(cut)) }
            #if os(Linux)
                unsafe madvise(base, aligned, MADV_HUGEPAGE)
            #endif
        }
        for offset in stride(from: 0, to: aligned, by: 4_096) {
            unsafe base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
        }
        return unsafe Arena(base: base, size: aligned)
    }
}

/// The thread that prepares a pool's next arena.
@safe
private final class Preparation: @unchecked Sendable {
    // @unchecked: `request` and `isStopped` are under `lock`; `pool` is set before the thread starts.

    private let lock: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let wake: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
    private var wanted = 0
    private var isStopped = false
    private weak var pool: PagePool?

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
        self.pool = pool
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let failure = unsafe pthread_create(
            &thread, nil,
            { context in
                unsafe Unmanaged<Preparation>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, unsafe context)
        precondition(failure == 0, "no thread can be started")
        pthread_detach(thread)
    }

    func request(_ size: Int) {
        unsafe pthread_mutex_lock(lock)
        wanted = size
        unsafe pthread_cond_signal(wake)
        unsafe pthread_mutex_unlock(lock)
    }

    func stop() {
        unsafe pthread_mutex_lock(lock)
        isStopped = true
        unsafe pthread_cond_signal(wake)
        unsafe pthread_mutex_unlock(lock)
    }

    private func run() {
        while true {
            unsafe pthread_mutex_lock(lock)
            while wanted == 0 && !isStopped { unsafe pthread_cond_wait(wake, lock) }
            let size = wanted
            wanted = 0
            let stopped = isStopped
            unsafe pthread_mutex_unlock(lock)
            if stopped { return }
            pool?.prepare(size)
        }
    }
}
