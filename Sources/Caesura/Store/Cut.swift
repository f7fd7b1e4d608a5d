public import CaesuraFormat
import Synchronization

/// A frozen, consistent view of a whole store at an epoch.
///
/// While it is open, each page it sees is copied before a writer changes it for the first time. Close
/// it when done (or let it go): that is when the memory comes back, on the thread that closes it. Inside a
/// closure that holds a row's lock, what lies in that row's partition stays until the next cut. A cut
/// that keeps more than ``Store/Configuration/retainedByteLimit`` is cancelled: reading it throws
/// `cutCancelled` from then on, and the service goes on as if it had never been.
public final class Cut: Sendable {
    /// The epoch that the cut ended.
    public let epoch: Epoch
    /// How long taking the cut took, from the epoch's end until the last writer of that epoch was done.
    public let pause: Duration
    let tables: [FrozenTable]
    /// In a cut of a part their rows may go; only where they begin and end may be read.
    let logs: [FrozenLog]
    let store: StoreCore
    private let access: CutAccess

    init(
        access: CutAccess, tables: [FrozenTable], logs: [FrozenLog], pause: Duration,
        store: StoreCore
    ) {
        epoch = Epoch(rawValue: access.epoch)
        self.access = access
        self.tables = tables
        self.logs = logs
        self.pause = pause
        self.store = store
    }

    deinit { close() }

    /// Frees the memory that only this cut needs.
    ///
    /// Further calls do nothing.
    ///
    /// - Complexity: O(pages that writers have replaced).
    public func close() {
        guard !access.isClosed else { return }
        if access.close() { store.isGone(access) }
    }

    /// What the cut sees: everything, or the rows of a range; of other partitions it has no roots.
    var part: StorePart { access.part }

    /// Whether the cut was given up because it kept too much memory.
    public var isCancelled: Bool { access.isCancelled }

    /// The number of rows of a region at the cut.
    public func rowCount(of region: String) -> Int? {
        requireAll()
        return tables.first { $0.table.schema.name.utf8Equals(region) }?.rowCount
            ?? logs.first { $0.log.schema.name.utf8Equals(region) }?.extent.count
    }

    /// The store's regions at the cut, sorted by name.
    public var regions: [RegionSchema] {
        (tables.map(\.table.schema) + logs.map(\.log.schema)).sorted { $0.name < $1.name }
    }

    /// Runs `body` while no page of the cut can change.
    ///
    /// A cancellation waits for bodies that run, so each should be short: a page, a chunk.
    func read<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result, cancelled: (StoreError) -> Failure
    ) throws(Failure) -> Result {
        let isAdmitted = access.enter()
        defer { if access.leave() { store.isGone(access) } }
        guard isAdmitted else { throw cancelled(refusal) }
        return try body()
    }

    /// Runs `body` while no page of the cut can change.
    func read<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        try read(body, cancelled: { $0 })
    }

    /// Whether the cut sees all of a part.
    func sees(_ part: StorePart) -> Bool {
        switch (self.part, part) {
        case (.all, _): true
        case (.rows(let range), .rows(let part)): range.contains(part)
        default: false
        }
    }

    /// Whoever reads all of the cut must have one that sees all.
    func requireAll() {
        precondition(part == .all, "a cut of a part is read by what reads that part")
    }

    private var refusal: StoreError {
        access.isClosed
            ? StoreError(.cutClosed, "it was closed before it was read to the end", epoch: epoch)
            : StoreError(
                .cutCancelled,
                "it kept more memory than retainedByteLimit allows; raise the limit or take another cut "
                    + "when fewer writes run", epoch: epoch)
    }
}

/// One table of a cut.
struct FrozenTable: @unchecked Sendable {
    // @unchecked: the pages below `roots` do not change while the cut is open.

    let table: TableCore
    /// The partitions' directories; empty where the cut does not see the partition.
    private(set) var roots: [DirectoryEntry] = []
    /// The partitions' numbers of rows; 0 where the cut does not see the partition.
    private(set) var rowCounts: [Int] = []

    init(table: TableCore) {
        self.table = table
        roots.reserveCapacity(table.partitionCount)
        rowCounts.reserveCapacity(table.partitionCount)
    }

    /// The table's number of rows.
    var rowCount: Int { rowCounts.reduce(0, +) }

    /// Takes the roots of a part's partitions as of the end of `epoch`, passing through each lock once.
    mutating func freeze(_ part: StorePart, at epoch: UInt64) {
        let seen = part.partitions(of: table)
        for index in 0..<table.partitionCount {
            guard seen.contains(index) else {
                roots.append(DirectoryEntry(emptyAtDepth: table.partitionBits))
                rowCounts.append(0)
                continue
            }
            let partition = unsafe table.partition(index)
            unsafe partition.lock()
            let (root, rowCount) = unsafe partition.pointee.frozen(at: epoch)
            unsafe partition.unlock()
            roots.append(root)
            rowCounts.append(rowCount)
        }
    }

    /// Calls `body` with each page of a directory, in hash order.
    static func forEachPage<Failure: Error>(
        below entry: DirectoryEntry, _ body: (Page) throws(Failure) -> Void
    ) throws(Failure) {
        guard !entry.isEmpty else { return }
        guard entry.isNode else { return try body(entry.page) }
        try entry.node.forEachChild { (_, child) throws(Failure) in
            try forEachPage(below: child, body)
        }
    }
}
