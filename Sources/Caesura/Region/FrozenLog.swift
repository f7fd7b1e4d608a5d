import CaesuraFormat

/// One log of a cut.
struct FrozenLog: @unchecked Sendable {
    // @unchecked: what `extent` reaches does not change while the cut is open, but for the parts of the last
    // page's header that appending changes, which nobody reads here.

    let log: LogCore
    let extent: LogExtent

    /// Takes the log as of the end of `epoch`, passing through its lock once.
    init(_ log: LogCore, at epoch: UInt64) {
        self.log = log
        extent = log.withLock { unsafe log.body.pointee.frozen(at: epoch) }
    }

    /// The positions of the rows.
    var positions: Range<UInt64> { extent.head..<extent.end }
}

/// Some rows of a page of a log: those in a range of slots.
@safe
struct LogRows: @unchecked Sendable {
    // @unchecked: as FrozenLog.

    let page: Page
    let slots: Range<Int>

    /// What the rows' references point into.
    var heap: HeapView { unsafe HeapView(page: UnsafeRawPointer(page.base)) }
}

extension Cut {
    /// The positions of a log's rows at the cut.
    ///
    /// - Throws: `unknownRegion` when the log is younger than the cut.
    public func positions<Row: SchemaStruct>(
        of log: Log<Row>
    ) throws(StoreError) -> Range<UInt64> { try frozen(log).positions }

    /// Calls `body` with each row of a log as it was at the cut, in the order of positions.
    ///
    /// Writers go on meanwhile; a cancellation of the cut waits for one page's calls.
    ///
    /// - Parameters:
    ///   - log: The log.
    ///   - positions: Which rows; all of them if nil. Those that the log does not keep are left out.
    ///   - body: What to do with a position and its row.
    /// - Throws: `cutCancelled`, `cutClosed`, `unknownRegion` when the log is younger than the cut, and what `body`
    ///   throws.
    public func forEach<Row: SchemaStruct>(
        in log: Log<Row>, at positions: Range<UInt64>? = nil,
        _ body: (UInt64, borrowing Row.Reader) throws -> Void
    ) throws {
        let extent = try frozen(log).extent
        let wanted = (positions ?? extent.head..<extent.end).clamped(to: extent.head..<extent.end)
        let stride = log.core.layout.stride
        var next = wanted.lowerBound
        while next < wanted.upperBound {
            try read(
                { () throws(any Error) in
                    let (page, ordinal, first) = extent.place(of: next)
                    let end =
                        ordinal + 1 < extent.pages.upperBound
                        ? extent.page(ordinal + 1).first : extent.end
                    let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
                    for position in next..<min(end, wanted.upperBound) {
                        let entry = unsafe page.entries + Int(position - first) * stride
                        try unsafe body(
                            position,
                            Row.Reader(
                                RowView(
                                    row: entry + EntryShape<NoKey, Row>.rowOffset, heap: heap)))
                    }
                    next = min(end, wanted.upperBound)
                }, cancelled: { $0 })
        }
    }

    /// Reads a row of a log as it was at the cut; nil when the log did not keep it then.
    ///
    /// - Throws: As ``forEach(in:at:_:)`` does.
    public func read<Row: SchemaStruct, Result>(
        _ position: UInt64, in log: Log<Row>, _ body: (borrowing Row.Reader) throws -> Result
    ) throws -> Result? {
        let frozen = try frozen(log)
        guard frozen.positions.contains(position) else { return nil }
        return try read(
            { () throws(any Error) in
                let (page, _, first) = frozen.extent.place(of: position)
                let entry = unsafe page.entries + Int(position - first) * log.core.layout.stride
                return try unsafe body(
                    Row.Reader(
                        RowView(
                            row: entry + EntryShape<NoKey, Row>.rowOffset,
                            heap: HeapView(page: UnsafeRawPointer(page.base)))))
            }, cancelled: { $0 })
    }

    private func frozen<Row: SchemaStruct>(_ log: Log<Row>) throws(StoreError) -> FrozenLog {
        guard let frozen = logs.first(where: { $0.log === log.core }) else {
            throw StoreError(
                .unknownRegion, "the cut is older than the log, or of another store",
                region: log.schema.name, epoch: epoch)
        }
        return frozen
    }
}
