/// Makes changes of the stored schema's columns from changes of the writer's: `docs/SCHEMAS.md`, "Deltas and chains".
///
///     leaf        its changes change hands
///     widened     each new value is written again in more bytes
///     constant    nothing, unless an optional around it comes or goes: then with it
///
/// Forwards only: what a delta undoes are columns of its own schema. Not thread-safe: one worker, one resolver.
public final class DeltaResolver {
    private let sources: [SchemaResolution.LeafSource]
    private let rows: ColumnResolver
    /// For each of the writer's leaves the stored leaf that its values go to; nil if there is none.
    public var targets: [Int?] { rows.targets }
    /// For each constant leaf the stored leaf of the optional that it comes and goes with, if that is the writer's.
    private let scopes: [Int?]
    /// Whether a delta that changes no values of variable length may set some: those of an optional that comes.
    public let fillsContent: Bool
    /// The stored columns' changes; what the last ``resolve(_:)`` made.
    public let batch: DeltaBatch

    /// Creates a resolver.
    public init(_ resolution: SchemaResolution) {
        sources = resolution.sources
        rows = ColumnResolver(resolution)
        let leaves = resolution.stored.leaves
        batch = DeltaBatch(leaves: leaves)
        scopes = resolution.sources.indices.map { [sources] leaf in
            guard case .constant = sources[leaf] else { return nil }
            var scope = leaves[leaf].scope
            while let outer = scope, case .constant = sources[outer] { scope = leaves[outer].scope }
            return scope
        }
        fillsContent = zip(leaves, scopes).contains { leaf, scope in
            switch leaf.kind {
            case .bytes, .array: scope != nil
            case .presence, .fixed: false
            }
        }
    }

    /// Whole rows as they are stored: those that are inserted.
    ///
    /// - Parameter data: Rows of the writer's columns, which have nothing any more then.
    /// - Returns: The same batch each time.
    public func resolve(_ data: ColumnBatch) -> ColumnBatch {
        rows.resolve(data)
        return rows.batch
    }

    /// Fills `base` of changes of a writer's leaf, which are no values yet, so that they can be resolved.
    ///
    /// - Parameter gather: Fills its column with the values of a stored leaf, zero or empty where absent.
    public func takeBase(
        of leaf: Int, for changes: LeafChanges, _ gather: (Int, ColumnBuffer) -> Void
    ) {
        guard let target = targets[leaf] else {
            preconditionFailure("changes of a leaf that is not stored are not resolved")
        }
        changes.base.removeAll()
        guard case .widened(_, let type) = sources[target] else {
            return gather(target, changes.base)
        }
        let wide = ColumnBuffer(kind: batch.leaves[target].kind)
        gather(target, wide)
        changes.base.narrow(wide, to: type)
    }

    /// Makes ``batch`` from a delta of the writer's, without its inserted and removed rows.
    ///
    /// The delta's changes are values; its columns have nothing any more then.
    ///
    /// - Complexity: O(sets · leaves), and O(values) of widened and constant columns.
    public func resolve(_ data: DeltaBatch) {
        batch.removeAll()
        batch.updated = data.updated
        resolveMasks(data)
        for (target, source) in sources.enumerated() where !batch.leaves[target].isKey {
            let column = batch.changes[target].new
            switch source {
            case .leaf(let leaf): column.takeContents(of: data.changes[leaf].new)
            case .widened(let leaf, let type): column.widen(data.changes[leaf].new, from: type)
            case .constant(let bytes):
                // The optional's leaf comes first, so it has its values.
                if let scope = scopes[target] {
                    column.fill(bytes, where: batch.changes[scope].new)
                }
            }
        }
    }

    /// The sets of changed leaves in the stored leaves' numbers.
    private func resolveMasks(_ data: DeltaBatch) {
        var sets: [[UInt64]] = []
        for code in 0..<data.masks.count {
            var set = [UInt64](repeating: 0, count: batch.masks.wordCount)
            func insert(_ leaf: Int) { set[leaf >> 6] |= 1 << UInt64(leaf & 63) }
            for (leaf, target) in targets.enumerated() where data.masks.contains(leaf, in: code) {
                if let target { insert(target) }
            }
            for (leaf, scope) in scopes.enumerated() {
                if let scope, set[scope >> 6] >> UInt64(scope & 63) & 1 == 1 { insert(leaf) }
            }
            sets.append(set)
        }
        for code in data.masks.codes { batch.masks.append(sets[Int(code)][...]) }
    }
}

extension ColumnBuffer {
    /// Makes it a copy of a value for each presence that is 1, and zero or the empty value for each other.
    ///
    /// - Parameter bytes: The value; empty inside an optional that is none.
    fileprivate func fill(_ bytes: [UInt8], where presence: ColumnBuffer) {
        var bytes = bytes
        switch kind {
        case .presence, .fixed:
            if bytes.isEmpty { bytes = Array(repeating: 0, count: width) }
        case .bytes, .array: break
        }
        fill(bytes, count: presence.count)
        var isAnyAbsent = false
        for index in 0..<presence.count
        where unsafe presence.values.load(fromByteOffset: index, as: UInt8.self) == 0 {
            isAnyAbsent = true
            switch kind {
            case .presence, .fixed:
                unsafe (values + index &* width).initializeMemory(
                    as: UInt8.self, repeating: 0, count: width)
            case .bytes, .array: unsafe lengths[index] = 0
            }
        }
        // The copies are all alike, so those that are left can be the first ones.
        guard isAnyAbsent, case 1... = contentByteCount else { return }
        var used = 0
        for index in 0..<count { used &+= unsafe Int(lengths[index]) &* width }
        contentByteCount = used
    }
}
