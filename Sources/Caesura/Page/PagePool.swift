#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The memory that pages and directory nodes come from: slabs of huge pages, touched before a writer
/// needs them.
///
/// A first touch of fresh memory costs a page fault: 0.2-0.7 us for 4 KiB on bare metal, 12 us and more
/// under nested paging. So the writer never pays it: when little is left, a thread maps and touches more.
/// If writers use memory up faster than that, the one that finds nothing maps some itself, which is counted
/// (`coldMappings`).
///
/// Memory is never given back to the system; ``SegregatedFit`` says how it is shared out.
@usableFromInline
final class PagePool: @unchecked Sendable {
    // @unchecked: everything mutable is under `mutex`; `preparation` has its own.

    private struct State: ~Copyable {
        var fit = SegregatedFit()
        var mappings: [Mapping] = []
        /// Bytes of mappings, but for what of the last cold one is not yet touched.
        var mapped = 0
        var inUse = 0
        var isPreparing = false
        /// A mapping that is touched piece by piece, by writers that find nothing free, and how far it is.
        var cold: (mapping: Mapping, touched: Int)?
        var coldMappings = 0
    }

    @safe
    private struct Mapping {
        let base: UnsafeMutableRawPointer
        let size: Int
    }

    private let mutex = Lock()
    private var state = State()
    private let preparation = PreparingThread()

    /// The largest block.
    static let largestBlock = 65_536
    /// Mapping and touching this many bytes takes the thread 5 to 10 ms (2.4 GHz EPYC).
    private static let largestStep = 64 << 20
    /// What a writer maps itself when nothing is prepared.
    ///
    /// Small pages, 0.2 ms for them: a huge page is faster to touch, unless the kernel has to make room for it
    /// first, which has no bound.
    private static let coldStep = 256 << 10

    init() {
        add(Self.map(SegregatedFit.slabSize))
        preparation.start(self)
    }

    deinit {
        preparation.stop()
        for mapping in state.mappings { unsafe munmap(mapping.base, mapping.size) }
    }

    /// A block of at least `byteCount` bytes, and its size; its contents mean nothing.
    ///
    /// Both are multiples of 64.
    func allocate(atLeast byteCount: Int) -> (base: UnsafeMutableRawPointer, byteCount: Int) {
        let wanted = SegregatedFit.blockSize(atLeast: byteCount)
        precondition(wanted <= Self.largestBlock, "a block is at most 64 KiB")
        mutex.lock()
        defer { mutex.unlock() }
        while true {
            let roomy = state.fit.roomyByteCount
            guard let block = unsafe state.fit.allocate(wanted) else {
                addCold()
                continue
            }
            state.inUse += wanted
            // What came back in the sizes that are asked for lasts without more.
            if state.fit.roomyByteCount < roomy { prepareIfLow() }
            return unsafe (block, wanted)
        }
    }

    /// Asks the thread for more when little is left.
    private func prepareIfLow() {
        let step = step
        guard state.fit.roomyByteCount < step / 2, !state.isPreparing else { return }
        state.isPreparing = true
        preparation.request(step)
    }

    /// Takes a block back.
    func free(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        mutex.lock()
        defer { mutex.unlock() }
        unsafe state.fit.free(block, byteCount)
        state.inUse -= byteCount
    }

    /// Takes many blocks back; a writer waits for no more than a few of them.
    func free(retired blocks: consuming FreedBlocks) {
        var isEmpty = false
        while !isEmpty {
            mutex.lock()
            for _ in 0..<16 {
                guard let (block, byteCount) = unsafe blocks.popFirst() else {
                    isEmpty = true
                    break
                }
                unsafe state.fit.free(block, byteCount)
                state.inUse -= byteCount
            }
            mutex.unlock()
        }
    }

    /// Memory mapped from the system, memory in blocks handed out, and how often a writer mapped some.
    var statistics: (mapped: Int, inUse: Int, coldMappings: Int) {
        mutex.withLock { (state.mapped, state.inUse, state.coldMappings) }
    }

    /// Makes sure that `byteCount` bytes can be handed out without a page fault.
    ///
    /// For whoever knows that a burst is coming; blocks the caller, not the writers.
    func prefault(_ byteCount: Int) {
        let missing = mutex.withLock { byteCount - state.fit.roomyByteCount }
        if missing > 0 { add(Self.map(missing)) }
    }

    /// Makes sure that there are `byteCount` free bytes, in blocks of any sizes.
    ///
    /// For the copies of pages: their sizes are those of what earlier cuts gave back.
    func prepare(forCopies byteCount: Int) {
        let missing = mutex.withLock { byteCount - (state.mapped - state.inUse) }
        if missing > 0 { add(Self.map(missing)) }
    }

    // MARK: Mapping

    /// Bytes that the thread prepares at a time: an eighth of what is there.
    private var step: Int {
        min(max(state.mapped / 8, SegregatedFit.slabSize), Self.largestStep)
    }

    private func add(_ mapping: Mapping) {
        mutex.withLock {
            state.mappings.append(mapping)
            state.mapped += mapping.size
            for offset in stride(from: 0, to: mapping.size, by: SegregatedFit.slabSize) {
                let header = SegregatedFit.slabHeader
                unsafe state.fit.free(
                    mapping.base + offset + header, SegregatedFit.slabSize - header)
            }
        }
    }

    /// Touches a piece of a mapping for a writer.
    private func addCold() {
        var (mapping, start): (Mapping, Int)
        if let cold = state.cold {
            (mapping, start) = cold
        } else {
            mapping = Self.reserve(SegregatedFit.slabSize)
            #if os(Linux)
                unsafe madvise(mapping.base, mapping.size, MADV_NOHUGEPAGE)
            #endif
            state.mappings.append(mapping)
            start = 0
        }
        let end = start + Self.coldStep
        unsafe Self.touch(mapping.base + start, Self.coldStep)
        state.mapped += Self.coldStep
        state.coldMappings += 1
        state.cold = end < mapping.size ? (mapping, end) : nil
        if start == 0 { start = SegregatedFit.slabHeader }
        unsafe state.fit.free(mapping.base + start, end - start)
    }

    /// Maps memory ahead of the writers, on the preparing thread.
    func prepare(_ size: Int) {
        add(Self.map(size))
        mutex.withLock { state.isPreparing = false }
    }

    /// Maps huge pages and touches all of them.
    private static func map(_ byteCount: Int) -> Mapping {
        let mapping = reserve(byteCount)
        #if os(Linux)
            unsafe madvise(mapping.base, mapping.size, MADV_HUGEPAGE)
        #endif
        unsafe touch(mapping.base, mapping.size)
        return mapping
    }

    /// Maps whole slabs, at least `byteCount` bytes, which are zero.
    private static func reserve(_ byteCount: Int) -> Mapping {
        let slab = SegregatedFit.slabSize
        let size = byteCount.rounded(upToMultipleOf: slab)
        // A mapping that is larger by one slab can be cut to a slab's boundary.
        guard
            let mapped = unsafe mmap(
                nil, size + slab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe mapped != MAP_FAILED
        else { fatalError("caesura: out of memory: mmap of \(size) bytes failed") }
        let misfit = Int(UInt(bitPattern: mapped) % UInt(slab))
        let cut = misfit == 0 ? 0 : slab - misfit
        if cut > 0 { unsafe munmap(mapped, cut) }
        if cut < slab { unsafe munmap(mapped + cut + size, slab - cut) }
        return unsafe Mapping(base: mapped + cut, size: size)
    }

    private static func touch(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        for offset in stride(from: 0, to: byteCount, by: 4_096) {
            unsafe base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
        }
    }
}
