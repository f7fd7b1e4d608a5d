import CaesuraFormat

/// Giving rows that a restore has brought under one version of a schema to a region that was declared with another.
///
/// Page by page: rows become columns, columns are resolved, and pages are built from them.
private final class RowConversion {
    /// The rows as they are.
    let batch: ColumnBatch
    private let pipeline: RowPipeline
    private let layout: RowLayout

    init(from leaves: [LeafColumn], _ layout: RowLayout, by plan: RowPlan) {
        batch = ColumnBatch(leaves: leaves)
        pipeline = RowPipeline(plan)
        self.layout = layout
    }

    /// The gathered rows as they are stored, and copies of those of their values that are too large for columns.
    ///
    /// - Parameter forEachRow: Calls its argument with each gathered row: its number, its entry and its heap.
    func resolve(
        _ forEachRow: ((Int, UnsafeRawPointer, HeapView) -> Void) -> Void
    ) -> (rows: ColumnBatch, segments: PendingSegments) {
        let segments = PendingSegments()
        let segmented = batch.segmentedValues
        if !segmented.isEmpty {
            var values = LargeValues(layout)
            unsafe forEachRow { unsafe values.note($0, $1, $2) }
            for value in segmented {
                let copy = unsafe values[value].withContiguousBytes {
                    unsafe LargeValue.make(copying: $0)
                }
                segments.put(copy, row: value.row, leaf: value.leaf)
            }
        }
        return (pipeline.run(batch, segments), segments)
    }
}

extension TableCore {
    /// Takes all rows of a table under another version of the schema, which nobody writes to, and leaves it empty.
    ///
    /// As ``takeRows(of:)`` in all else.
    func convertRows(of old: TableCore, by plan: RowPlan) {
        old.lockAll()
        defer { old.unlockAll() }
        let conversion = RowConversion(from: old.leaves, old.layout, by: plan)
        var gatherer = PageGatherer(old)
        var hasher = unsafe BatchHasher(hashKey: store.hashKey, keyLeafCount: keys.leaves.count)
        old.isReplaced = true
        unsafe store.takeRetired(of: old)
        for index in 0..<partitionCount {
            let root = unsafe old.partition(index).pointee.detachAll()
            let partition = unsafe partition(index)
            unsafe partition.pointee.beginWriting()
            let epoch = unsafe partition.pointee.writeEpoch
            FrozenTable.forEachPage(below: root) { page in
                conversion.batch.removeAll()
                gatherer.gather([page], in: nil, into: conversion.batch)
                let (rows, segments) = unsafe conversion.resolve { body in
                    let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    _ = unsafe gatherer.forEachRow(of: page, in: nil) { unsafe body($0, $1, heap) }
                }
                defer { segments.discard() }
                let range = old.range(of: page)
                do throws(FormatError) {
                    try hasher.hash(rows, in: range, at: 0) { segments.value(row: $0, leaf: $1) }
                } catch {
                    preconditionFailure("rows of a page are in hash order: \(error)")
                }
                let hashes = unsafe UnsafePointer(hasher.hashes)
                var builder = unsafe PageBuilder(self, rows, hashes, epoch: epoch, segments)
                let isBuilt = builder.build(range, rows: 0..<rows.rowCount)
                precondition(isBuilt, "rows that a page had have room in pages")
                for (page, range) in builder.finish() {
                    unsafe partition.pointee.attach(page, range, epoch: epoch)
                }
            }
            var list = RetiredList(epoch: epoch)
            old.retireAll(below: root, withValues: true, into: &list)
            unsafe store.giveUp(list)
        }
    }
}

extension LogCore {
    /// Takes all rows of a log under another version of the schema, which nobody can write to, and leaves it empty.
    ///
    /// As ``takeRows(of:)`` in all else.
    func convertRows(of old: LogCore, by plan: RowPlan) {
        old.trimming.lock()
        defer { old.trimming.unlock() }
        let conversion = RowConversion(from: old.leaves, old.layout, by: plan)
        var gatherer = PageGatherer(old.layout)
        let extent = old.extent
        withLock {
            unsafe body.pointee.beginBringing()
            unsafe body.pointee.lastWrite = old.withLock { unsafe old.body.pointee.lastWrite }
            unsafe body.pointee.begin(at: extent.head)
            extent.forEachPage(in: extent.head..<extent.end) { page, slots, first in
                conversion.batch.removeAll()
                let positions = first..<first + UInt64(slots.count)
                gatherer.gather(extent, positions, into: conversion.batch)
                let (rows, segments) = unsafe conversion.resolve { body in
                    let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    for (row, slot) in slots.enumerated() {
                        let entry = unsafe page.entries + slot * old.layout.stride
                        unsafe body(row, UnsafeRawPointer(entry), heap)
                    }
                }
                defer { segments.discard() }
                let epoch = unsafe body.pointee.extent.epoch
                unsafe body.pointee.bring(LogPages(self, rows, segments, epoch: epoch).build())
            }
        }
        let (before, after) = old.withLock {
            old.isReplaced = true
            return old.detachAll()
        }
        old.retire(before, in: after, withValues: true)
        // What that has kept for cuts must not go with the old log.
        unsafe store.takeRetired(of: old)
    }
}
