import Testing

@testable import Caesura

@Suite struct SegregatedFitTests {
    /// A few slabs, and what is handed out of them.
    @safe
    private struct Model: ~Copyable {
        static let slabs = 3
        static let usable = SegregatedFit.slabSize - SegregatedFit.slabHeader
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: slabs * SegregatedFit.slabSize, alignment: SegregatedFit.slabSize)
        var fit = SegregatedFit()
        /// First byte and size of each block handed out.
        var blocks: [Int: Int] = [:]

        init() {
            unsafe memory.initializeMemory(
                as: UInt8.self, repeating: 0, count: Self.slabs * SegregatedFit.slabSize)
            for slab in 0..<Self.slabs {
                unsafe fit.free(
                    memory + slab * SegregatedFit.slabSize + SegregatedFit.slabHeader, Self.usable)
            }
        }

        deinit { unsafe memory.deallocate() }

        /// Takes a block and fills it; whether there was one.
        mutating func allocate(_ wanted: Int) -> Bool {
            let size = SegregatedFit.blockSize(atLeast: wanted)
            guard let base = unsafe fit.allocate(size) else { return false }
            #expect(UInt(bitPattern: base) % 64 == 0)
            unsafe base.initializeMemory(as: UInt8.self, repeating: 0xA5, count: size)
            unsafe blocks[base - memory] = size
            return true
        }

        mutating func free(_ offset: Int) {
            unsafe fit.free(memory + offset, blocks.removeValue(forKey: offset)!)
        }

        /// Whether no two blocks overlap, none touches a slab's header, and nobody wrote into one.
        func check() {
            var end = 0
            for (offset, size) in blocks.sorted(by: { $0.key < $1.key }) {
                #expect(offset >= end)
                end = offset + size
                let first = offset % SegregatedFit.slabSize
                #expect(first >= SegregatedFit.slabHeader)
                #expect(first + size <= SegregatedFit.slabSize)
                let bytes = unsafe UnsafeRawBufferPointer(start: memory + offset, count: size)
                unsafe #expect(bytes.allSatisfy { $0 == 0xA5 })
            }
        }
    }

    @Test func `blocks never overlap, and all of them together are the slabs again`() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = TableModelTests.Random(state: seed)
        var model = Model()
        for round in 0..<6 {
            // Sizes of one kind at a time, as pages that grow together ask for.
            let largest = [700, 5_000, 65_536][round % 3]
            var failures = 0
            while failures < 50 {
                if random.next() % 3 > 0 {
                    if !model.allocate(Int(random.next() % UInt64(largest)) + 1) { failures += 1 }
                } else if let offset = model.blocks.keys.randomElement(using: &random) {
                    model.free(offset)
                }
            }
            model.check()
            let kept = round == 5 ? 0 : model.blocks.count / 4
            for offset in model.blocks.keys.shuffled(using: &random).dropFirst(kept) {
                model.free(offset)
            }
            model.check()
        }
        #expect(model.fit.roomyByteCount == Model.slabs * Model.usable)
        // Joined, each slab serves as many of the largest blocks as fit into it.
        var count = 0
        while model.allocate(PagePool.largestBlock) { count += 1 }
        #expect(count == Model.slabs * (Model.usable / PagePool.largestBlock))
        for offset in model.blocks.keys { model.free(offset) }
    }

    @Test func `a block of each size is found in a free block of that size`() {
        for size in stride(from: SegregatedFit.smallestBlock, through: 4_096, by: 64) {
            var model = Model()
            // Cuts the slabs up until nothing of this size is left but one block, given back.
            while model.allocate(size) {}
            let offset = model.blocks.keys.min()!
            model.free(offset)
            #expect(model.allocate(size) && model.blocks[offset] != nil)
        }
    }
}
