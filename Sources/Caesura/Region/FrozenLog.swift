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

    /// Calls `body` with each row among some positions: its number from 0, its entry and what that refers to.
    func forEachRow(
        in positions: Range<UInt64>, _ body: (Int, UnsafeRawPointer, HeapView) -> Void
    ) {
        extent.forEachPage(in: positions) { page, slots, start in
            let heap = unsafe HeapView(page: UnsafeRawPointer(page.base))
            let row = Int(start - positions.lowerBound)
            for (index, slot) in slots.enumerated() {
                let entry = unsafe page.entries + slot * log.layout.stride
                unsafe body(row + index, UnsafeRawPointer(entry), heap)
            }
        }
    }
}

/// One region of a cut.
enum FrozenRegion {
    case table(FrozenTable)
    case log(FrozenLog)

    /// The region itself.
    var core: RegionCore {
        switch self {
        case .table(let frozen): .table(frozen.table)
        case .log(let frozen): .log(frozen.log)
        }
    }

    var schema: RegionSchema { core.schema }

    var layout: RowLayout {
        switch self {
        case .table(let frozen): frozen.table.layout
        case .log(let frozen): frozen.log.layout
        }
    }
}

extension Cut {
    /// The regions in the order in which streams have them.
    var frozenRegions: [FrozenRegion] {
        (tables.map { .table($0) } + logs.map { .log($0) })
            .sorted { (a: FrozenRegion, b) in a.schema.name.utf8Precedes(b.schema.name) }
    }

    /// The position of the first row of each log, in the order of ``frozenRegions``; of an empty log that of the next
    /// row.
    var heads: [UInt64] {
        frozenRegions.compactMap { region in
            if case .log(let frozen) = region { frozen.extent.head } else { nil }
        }
    }
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
        requireAll()
        guard let frozen = logs.first(where: { $0.log === log.core }) else {
            throw StoreError(
                .unknownRegion, "the cut is older than the log, or of another store",
                region: log.schema.name, epoch: epoch)
        }
        return frozen
    }
}
