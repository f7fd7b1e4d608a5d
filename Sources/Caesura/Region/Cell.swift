public import CaesuraFormat

/// One value of a store, such as a configuration or counters, which a cut freezes with everything else.
///
///     let limits = try store.cell("limits", initial: Limits())
///     limits.update { $0.maximum += 1 }
///     let maximum = limits.read { $0.maximum }
///
/// A cell has exactly one value at any time: the initial one, until another is set or restored, and again when the
/// store is emptied. In memory it is a table of one row without a key: a lock, a page, copied when a cut sees it. A
/// closure runs under that lock: keep it short, and do not use the cell inside it.
@safe
public final class Cell<Value: SchemaStruct>: Sendable {
    @usableFromInline let core: TableCore
    private let store: StoreCore
    @usableFromInline nonisolated(unsafe) let partition: UnsafeMutablePointer<Partition>

    init(core: TableCore) {
        self.core = core
        store = unsafe core.store
        unsafe partition = core.partition(0)
    }

    /// The cell's name and schema.
    public var schema: RegionSchema { core.declared.schema }

    /// The value: a copy, with its strings built.
    ///
    /// Not for changing a field: `cell.value.count += 1` gets the value and sets it under two locks, and what another
    /// thread wrote in between is lost. Use ``update(_:)``.
    ///
    /// - Precondition: No part of a new value has more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes of the value); parts of more than 1 KiB are copied before the cell is locked, and those
    ///   they replace freed after that.
    @inlinable public var value: Value {
        get {
            unsafe partition.lock()
            defer { unsafe partition.unlock() }
            guard let value = unsafe partition.pointee.load(NoKey(), NoKey.hash, as: Value.self)
            else { preconditionFailure("a cell has a value") }
            return value
        }
        set {
            var staged = StagedValues()
            Value.stage(newValue, upTo: Page.valueLimit, in: &staged)
            unsafe partition.lock()
            defer { unsafe partition.unlockAfterWriting() }
            beginWriting()
            unsafe withUnsafeMutablePointer(to: &staged) {
                unsafe partition.set(newValue, for: NoKey(), NoKey.hash, staged: $0)
            }
        }
    }

    /// Reads the value in place: `body` takes what it needs from the fields, and no string is built for it.
    @inlinable public func read<Result>(
        _ body: (borrowing Value.Reader) throws -> Result
    ) rethrows -> Result {
        unsafe partition.lock()
        defer { unsafe partition.unlock() }
        guard
            let result = try unsafe partition.pointee.read(
                NoKey(), NoKey.hash, as: Value.self, body)
        else { preconditionFailure("a cell has a value") }
        return result
    }

    /// Changes the value in place: only the fields that `body` sets are written.
    ///
    /// When `body` throws, what it has set stays set.
    ///
    /// - Precondition: `body` sets no value of more than ``Store/valueByteLimit`` bytes.
    /// - Complexity: O(bytes that `body` sets), and a copy of the cell's page if a cut sees it and this is the first
    ///   write since.
    @inlinable @discardableResult public func update<Result>(
        _ body: (inout Value.Editor) throws -> Result
    ) rethrows -> Result {
        unsafe partition.lock()
        defer { unsafe partition.unlockAfterWriting() }
        beginWriting()
        guard
            let result = try unsafe partition.update(
                NoKey(), NoKey.hash, as: Value.self, staged: nil, body)
        else { preconditionFailure("a cell has a value") }
        return result
    }

    /// Notes, under the lock, that the value is no longer the initial one.
    @inlinable func beginWriting() {
        unsafe partition.pointee.beginWriting()
        core.isInitial = false
    }
}

extension TableCore {
    /// Gives a cell its first value, under the lock of its partition or before anybody else sees it.
    ///
    /// - Returns: The root of what was there before, for ``retireAll(below:withValues:into:)``.
    @discardableResult
    func resetCell() -> DirectoryEntry {
        let old = unsafe partition(0).pointee.detachAll()
        guard let putInitialValue else { return old }
        putInitialValue(self)
        isInitial = true
        return old
    }
}

/// The key of what has none: a cell's value, a log's rows.
@frozen @usableFromInline
struct NoKey: TableKey {
    @frozen @usableFromInline
    struct Stored: BitwiseCopyable, Sendable {
        @inlinable init() {}
    }

    /// The hash of all rows without keys.
    @inlinable static var hash: UInt64 { 0 }

    @inlinable init() {}

    @usableFromInline static var fieldType: FieldType { .structure([]) }
    @inlinable static var isInline: Bool { true }
    @usableFromInline static func describe(
        at offset: Int, in layout: inout RowLayout.Builder
    ) {}
    @inlinable static func heapByteCount(of value: NoKey, upTo limit: Int) -> Int { 0 }
    @inlinable static func place(_ value: NoKey, in heap: inout HeapWriter) -> Stored { Stored() }
    @inlinable static func load(_ stored: Stored, from heap: HeapView) -> NoKey { NoKey() }
    @usableFromInline static func value(of value: NoKey) -> CaesuraFormat.Value { .structure([]) }

    @inlinable func hash(with hashKey: HashKey) -> UInt64 { Self.hash }
    @inlinable func absorb(into hasher: inout KeyHasher) {}
    @inlinable static func matches(_ stored: Stored, _ key: NoKey, in heap: HeapView) -> Bool {
        true
    }
}
