/// Hands out blocks of memory and joins what comes back with its free neighbours.
///
/// Two-level segregated fit (Masmano, Ripoll, Crespo, Real: TLSF, a new dynamic memory allocator for
/// real-time systems, ECRTS 2004): taking and giving back are a bounded number of steps, whatever the number
/// of blocks, and memory that pages of one size leave serves pages of all others. That matters here:
/// hashes are even, so all pages of a table grow through the same sizes at about the same time.
///
///     slab         2 MiB, aligned to its size, so a block's slab follows from its address
///       0          starts: one bit for 64 bytes, set where a free block starts
///       4,096      ends: set where the last 64 bytes of a free block are
///       8,192      blocks, each a multiple of 64 bytes
///
///     free block   next of its class, previous, byte count, …, byte count again in the last 8 bytes
///
/// Invariants:
/// - Two free blocks never lie side by side.
/// - A class's list holds the free blocks whose byte count is at least the class's and less than the next's;
///   bit i of `occupied` says whether list i has one.
/// - What is left of a block is free, however small: a block has the size that was asked for, so a copy of a
///   page is never larger than the page.
@safe
struct SegregatedFit: ~Copyable {
    private typealias Block = UnsafeMutablePointer<FreeBlock>

    @safe
    private struct FreeBlock {
        var next: Block?
        var previous: Block?
        var byteCount: Int
    }

    private let heads: UnsafeMutablePointer<Block?>
    private var occupied: UInt64 = 0
    /// Free bytes in blocks of at least ``roomyBlock``: what any request can be served from.
    private(set) var roomyByteCount = 0

    static let slabSize = 2 << 20
    static let slabHeader = 8_192
    static let unit = 64
    static let smallestBlock = 512
    static let roomyBlock = 65_536
    /// One class for what is smaller than a block, 8 a doubling up to 64 KiB, then one.
    private static let classCount = 1 + 8 * 7 + 5

    init() {
        unsafe heads = .allocate(capacity: Self.classCount)
        unsafe heads.initialize(repeating: nil, count: Self.classCount)
    }

    deinit { unsafe heads.deallocate() }

    /// Bytes that a block of at least `byteCount` bytes has.
    static func blockSize(atLeast byteCount: Int) -> Int {
        max(smallestBlock, byteCount.rounded(upToMultipleOf: unit))
    }

    // MARK: Blocks

    /// A block of `byteCount` bytes, a ``blockSize(atLeast:)``, or nil when no free one is large enough.
    mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard let block = unsafe fitting(byteCount) else { return nil }
        let found = unsafe block.pointee.byteCount
        unsafe remove(block)
        let base = UnsafeMutableRawPointer(block)
        if found > byteCount { unsafe insert(base + byteCount, found - byteCount) }
        return unsafe base
    }

    /// Takes a block back.
    mutating func free(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        var base = unsafe base
        var byteCount = byteCount
        let slab = unsafe Slab(of: base)
        let end = unsafe slab.unit(of: base) + byteCount / Self.unit
        if end < Slab.unitCount, slab.isFree(startingAt: end) {
            let next = unsafe (base + byteCount).assumingMemoryBound(to: FreeBlock.self)
            byteCount += unsafe next.pointee.byteCount
            unsafe remove(next)
        }
        // Unit 0 is the slab's header, so there is one before.
        if unsafe slab.isFree(endingAt: slab.unit(of: base) - 1) {
            let before = unsafe (base - 8).load(as: Int.self)
            unsafe base -= before
            byteCount += before
            unsafe remove(base.assumingMemoryBound(to: FreeBlock.self))
        }
        unsafe insert(base, byteCount)
    }

    /// The first free block that is large enough.
    private func fitting(_ byteCount: Int) -> Block? {
        let floor = Self.sizeClass(byteCount)
        // Most requests are of sizes that came back: the list of their own class may have one.
        if let block = unsafe heads[floor], unsafe block.pointee.byteCount >= byteCount {
            return unsafe block
        }
        let above = occupied & ~(UInt64.max >> UInt64(63 - floor))
        return above == 0 ? nil : unsafe heads[above.trailingZeroBitCount]
    }

    private mutating func insert(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let index = Self.sizeClass(byteCount)
        let block = unsafe base.assumingMemoryBound(to: FreeBlock.self)
        let next = unsafe heads[index]
        unsafe block.initialize(to: FreeBlock(next: next, previous: nil, byteCount: byteCount))
        unsafe (base + byteCount - 8).storeBytes(of: byteCount, as: Int.self)
        unsafe next?.pointee.previous = unsafe block
        unsafe heads[index] = unsafe block
        occupied |= 1 << UInt64(index)
        if byteCount >= Self.roomyBlock { roomyByteCount += byteCount }
        unsafe Slab(of: base).flip(base, byteCount)
    }

    private mutating func remove(_ block: Block) {
        let byteCount = unsafe block.pointee.byteCount
        let index = Self.sizeClass(byteCount)
        let (next, previous) = unsafe (block.pointee.next, block.pointee.previous)
        unsafe next?.pointee.previous = unsafe previous
        if let previous = unsafe previous {
            unsafe previous.pointee.next = unsafe next
        } else {
            unsafe heads[index] = unsafe next
            if unsafe next == nil { occupied &= ~(1 << UInt64(index)) }
        }
        if byteCount >= Self.roomyBlock { roomyByteCount -= byteCount }
        let base = UnsafeMutableRawPointer(block)
        unsafe Slab(of: base).flip(base, byteCount)
    }

    /// The class of a free block of `byteCount` bytes.
    private static func sizeClass(_ byteCount: Int) -> Int {
        if byteCount < smallestBlock { return 0 }
        let doubling =
            Int.bitWidth - 1 - byteCount.leadingZeroBitCount - smallestBlock.trailingZeroBitCount
        if doubling >= 7 { return 57 + min(doubling - 7, 4) }
        return 1 + doubling * 8 + (byteCount >> (doubling + 6)) & 7
    }
}

/// The slab that a block lies in.
@safe
private struct Slab {
    private let base: UnsafeMutableRawPointer

    static let unitCount = SegregatedFit.slabSize / SegregatedFit.unit

    init(of block: UnsafeMutableRawPointer) {
        let mask = UInt(SegregatedFit.slabSize) - 1
        // SAFETY: blocks lie behind the start of their slab.
        unsafe base = unsafe block - Int(UInt(bitPattern: block) & mask)
    }

    func unit(of block: UnsafeMutableRawPointer) -> Int {
        unsafe (block - base) / SegregatedFit.unit
    }

    func isFree(startingAt unit: Int) -> Bool { isSet(0, unit) }
    func isFree(endingAt unit: Int) -> Bool { isSet(Self.unitCount, unit) }

    /// Notes that a block has become free, or is so no more.
    func flip(_ block: UnsafeMutableRawPointer, _ byteCount: Int) {
        let unit = unsafe unit(of: block)
        flip(0, unit)
        flip(Self.unitCount, unit + byteCount / SegregatedFit.unit - 1)
    }

    private func word(_ map: Int, _ unit: Int) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: two maps of `unitCount` bits are the slab's header.
        unsafe base.assumingMemoryBound(to: UInt64.self) + (map + unit) / 64
    }

    private func isSet(_ map: Int, _ unit: Int) -> Bool {
        unsafe word(map, unit).pointee & (1 << UInt64(unit % 64)) != 0
    }

    private func flip(_ map: Int, _ unit: Int) {
        unsafe word(map, unit).pointee ^= 1 << UInt64(unit % 64)
    }
}
