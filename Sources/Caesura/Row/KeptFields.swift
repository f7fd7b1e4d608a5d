import CaesuraFormat

/// The fields of a region that its program does not know and must not lose: `docs/SCHEMAS.md`, "Fields that are kept".
///
///     entry   stamp │ key │ row: the program's Stored │ kept leaves
///                                                      └ offsets and defaults are here
///
/// Code that knows the row's Swift type does not touch them: a write leaves them as they are. What is left to do is
/// here: a row that is inserted gets their defaults, one that is removed gives up what they have outside the page, and
/// those inside an optional come and go with it.
@safe
@usableFromInline
final class KeptFields: Sendable {
    /// A leaf that is kept.
    struct Leaf: Sendable {
        let offset: Int
        let kind: LeafColumn.Kind
        /// Where in the entry the byte lies that says whether there is a value, or nil.
        let presence: Int?
        /// What a row has that knows no better: a value as it lies in memory, or the content of a reference.
        let initial: [UInt8]
    }

    private let leaves: [Leaf]
    /// The presence bytes of the program's own optionals that have kept leaves.
    private let scopes: [Int]
    /// The largest initial value that goes into the page.
    private let limit: Int
    /// Heap bytes of the initial values of an entry, and how many these are when all go outside the page.
    private let heapByteCount: (inPage: Int, spilled: Int)

    /// Whether some come and go with an optional of the program's.
    var hasScopes: Bool { !scopes.isEmpty }
    /// Of so many optionals at most: each has a bit in ``presence(in:)``.
    static let scopeLimit = 64
    var hasTooManyScopes: Bool { scopes.count > Self.scopeLimit }

    init(_ leaves: [Leaf]) {
        self.leaves = leaves
        let own = Set(leaves.map(\.offset))
        scopes = Set(leaves.compactMap(\.presence)).subtracting(own).sorted()
        let sizes = leaves.filter(\.isReference).map(\.initial.count)
        // So many that a page could not hold several rows go outside.
        limit = sizes.reduce(0, +) <= Page.softSize / 8 ? Page.valueLimit : 0
        func byteCount(upTo limit: Int) -> Int {
            sizes.reduce(0) { sum, size in
                size == 0 ? sum : sum + HeapWriter.heapByteCount(of: size, upTo: limit)
            }
        }
        heapByteCount = (byteCount(upTo: limit), byteCount(upTo: 0))
    }

    /// Heap bytes that the initial values of an entry take, when values of more than `limit` bytes, which is 0 or
    /// ``Page/valueLimit``, go outside the page.
    func heapByteCount(upTo limit: Int) -> Int {
        limit == 0 ? heapByteCount.spilled : heapByteCount.inPage
    }

    /// Gives a new entry, whose known fields are in place, the initial values.
    ///
    /// The heap has room for ``heapByteCount(upTo:)`` of its limit.
    func place(in entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        for leaf in leaves { unsafe place(leaf, in: entry, heap) }
    }

    private func place(_ leaf: Leaf, in entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        if let presence = leaf.presence,
            unsafe entry.load(fromByteOffset: presence, as: UInt8.self) == 0
        {
            return
        }
        unsafe leaf.initial.withUnsafeBytes { bytes in
            guard let first = bytes.baseAddress else { return }
            if leaf.isReference {
                var writer = heap
                writer.limit = min(heap.limit, limit)
                unsafe entry.storeBytes(
                    of: writer.place(bytes), toByteOffset: leaf.offset, as: HeapReference.self)
            } else {
                // SAFETY: the layout has so many bytes for the leaf.
                unsafe (entry + leaf.offset).copyMemory(
                    from: first, byteCount: bytes.count)
            }
        }
    }

    /// Gives up what an entry that is about to be removed keeps outside its page.
    func discard(from entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        for leaf in leaves where leaf.isReference {
            unsafe heap.discard(entry.load(fromByteOffset: leaf.offset, as: HeapReference.self))
        }
    }

    /// Which of the optionals that have kept leaves are present in an entry, one bit each.
    func presence(in entry: UnsafeRawPointer) -> UInt64 {
        var bits: UInt64 = 0
        for (index, offset) in scopes.enumerated()
        where unsafe entry.load(fromByteOffset: offset, as: UInt8.self) != 0 {
            bits |= 1 << UInt64(index)
        }
        return bits
    }

    /// Brings the kept leaves of an entry in line with optionals that were set or set to none.
    ///
    /// - Parameters:
    ///   - heap: Has room for ``heapByteCount(upTo:)`` of its limit.
    ///   - before: ``presence(in:)`` as it was.
    func settle(
        _ entry: UnsafeMutableRawPointer, _ heap: HeapWriter, presentBefore before: UInt64
    ) {
        let changed = unsafe presence(in: entry) ^ before
        for leaf in leaves {
            guard let scope = scope(of: leaf), changed >> UInt64(scope) & 1 == 1 else {
                continue
            }
            if before >> UInt64(scope) & 1 == 1 {
                unsafe clear(leaf, in: entry, heap)
            } else {
                unsafe place(leaf, in: entry, heap)
            }
        }
    }

    private func clear(_ leaf: Leaf, in entry: UnsafeMutableRawPointer, _ heap: HeapWriter) {
        var size = MemoryLayout<HeapReference>.size
        switch leaf.kind {
        case .presence: size = 1
        case .fixed(let scalar): size = scalar.width
        case .bytes, .array:
            unsafe heap.discard(entry.load(fromByteOffset: leaf.offset, as: HeapReference.self))
        }
        // SAFETY: as in `place`.
        unsafe (entry + leaf.offset).initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    /// The optional of the program's around a leaf, among ``scopes``.
    private func scope(of leaf: Leaf) -> Int? {
        var presence = leaf.presence
        while let offset = presence {
            if let index = scopes.firstIndex(of: offset) { return index }
            presence = leaves.first { $0.offset == offset }?.presence
        }
        return nil
    }
}

extension KeptFields.Leaf {
    fileprivate var isReference: Bool {
        switch kind {
        case .bytes, .array: true
        case .presence, .fixed: false
        }
    }
}

extension RowLayout {
    /// The layout of a region's stored schema: the declared leaves where they are, the kept ones behind the row.
    ///
    /// - Parameters:
    ///   - declared: The schema that this is the layout of.
    ///   - stored: That of a ``SchemaResolution`` whose reader it is.
    func keeping(
        from declared: RegionSchema, to stored: RegionSchema
    ) -> (layout: RowLayout, kept: KeptFields?) {
        let (known, columns) = (declared.leaves, stored.leaves)
        guard columns.count > known.count else { return (self, nil) }
        var layout = self
        layout.leaves = []
        var next = 0
        var end = stride
        var alignment = 8
        var keptIndexes: [Int] = []
        for (index, column) in columns.enumerated() {
            // Declared leaves come in the same order; the path of a kept one leads to a number that is not declared.
            if next < known.count, known[next].isKey == column.isKey,
                known[next].path == column.path
            {
                var leaf = leaves[next]
                leaf.scope = column.scope
                layout.leaves.append(leaf)
                next += 1
                continue
            }
            let size: (byteCount: Int, alignment: Int) =
                switch column.kind {
                case .presence: (1, 1)
                case .fixed(let scalar): (scalar.width, scalar == .uuid ? 8 : scalar.width)
                case .bytes, .array:
                    (MemoryLayout<HeapReference>.size, MemoryLayout<HeapReference>.alignment)
                }
            end = end.rounded(upToMultipleOf: size.alignment)
            alignment = max(alignment, size.alignment)
            layout.leaves.append(Leaf(kind: column.kind, offset: end, scope: column.scope))
            end += size.byteCount
            keptIndexes.append(index)
        }
        precondition(next == known.count, "the stored schema has all declared leaves")
        layout.stride = end.rounded(upToMultipleOf: max(alignment, 8))
        // An entry's alignment is that of its type, and of what is kept.
        layout.stride = layout.stride.rounded(upToMultipleOf: stride & (0 &- stride) >= 16 ? 16 : 8)
        let initial = stored.initialLeaves
        let kept = keptIndexes.map { index in
            let leaf = layout.leaves[index]
            return KeptFields.Leaf(
                offset: leaf.offset, kind: leaf.kind,
                presence: leaf.scope.map { layout.leaves[$0].offset }, initial: initial[index])
        }
        return (layout, KeptFields(kept))
    }
}
