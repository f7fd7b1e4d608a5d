import CaesuraFormat

/// How to hash a key that lies in an entry, without knowing its Swift type.
///
/// Gives the same as ``TableKey/hash(with:)``: the hash of the key's canonical bytes.
@safe
struct KeyLayout: @unchecked Sendable {
    // @unchecked: `control` points at atomics that outlive every table of the store.

    private enum Shape: Sendable {
        /// One leaf of fixed width up to 8 bytes, 8 or 16 bytes wide keys being the most frequent.
        case fixed(offset: Int, width: Int)
        /// One leaf of bytes or an array.
        case bytes(offset: Int)
        /// No leaf: all rows have the hash of ``NoKey``.
        case none
        case leaves([RowLayout.Leaf])
    }

    private let control: UnsafeMutablePointer<StoreControl>
    private let shape: Shape
    let leaves: [RowLayout.Leaf]

    init(_ layout: RowLayout, control: UnsafeMutablePointer<StoreControl>) {
        unsafe self.control = unsafe control
        leaves = Array(layout.leaves[..<layout.keyLeafCount])
        switch (leaves.count, leaves.first?.kind) {
        case (1, .fixed(let scalar)): shape = .fixed(offset: leaves[0].offset, width: scalar.width)
        case (1, .bytes), (1, .array): shape = .bytes(offset: leaves[0].offset)
        case (0, _): shape = .none
        default: shape = .leaves(leaves)
        }
    }

    /// The hash of the key in an entry.
    func hash(_ entry: UnsafeRawPointer, _ heap: HeapView) -> UInt64 {
        let hashKey = unsafe control.pointee.hashKey
        switch shape {
        case .fixed(let offset, 8):
            return unsafe hashKey.hash(entry.load(fromByteOffset: offset, as: UInt64.self))
        case .fixed(let offset, let width):
            return unsafe hashKey.hash(
                bytes: UnsafeRawBufferPointer(start: entry + offset, count: width))
        case .bytes(let offset):
            let reference = unsafe entry.load(fromByteOffset: offset, as: HeapReference.self)
            return unsafe heap.withBytes(of: reference) { unsafe hashKey.hash(bytes: $0) }
        case .none: return NoKey.hash
        case .leaves(let leaves):
            var hasher = KeyHasher(key: hashKey)
            unsafe absorb(leaves, entry, heap, into: &hasher)
            return hasher.finalize()
        }
    }

    private func absorb(
        _ leaves: [RowLayout.Leaf], _ entry: UnsafeRawPointer, _ heap: HeapView,
        into hasher: inout KeyHasher
    ) {
        for leaf in leaves {
            if let scope = leaf.scope, unsafe !isPresent(scope, leaves, entry) { continue }
            switch leaf.kind {
            case .presence:
                unsafe hasher.absorb(
                    littleEndian: entry.load(fromByteOffset: leaf.offset, as: UInt8.self))
            case .fixed(let scalar):
                unsafe hasher.absorb(
                    UnsafeRawBufferPointer(start: entry + leaf.offset, count: scalar.width))
            case .bytes, .array:
                let reference = unsafe entry.load(
                    fromByteOffset: leaf.offset, as: HeapReference.self)
                unsafe heap.withBytes(of: reference) { bytes in
                    hasher.absorb(littleEndian: UInt32(bytes.count))
                    unsafe hasher.absorb(bytes)
                }
            }
        }
    }

    /// The canonical bytes of the key in an entry, to compare two of equal hash.
    func canonicalBytes(_ entry: UnsafeRawPointer, _ heap: HeapView) -> [UInt8] {
        var bytes: [UInt8] = []
        for leaf in leaves {
            if let scope = leaf.scope, unsafe !isPresent(scope, leaves, entry) { continue }
            switch leaf.kind {
            case .presence:
                unsafe bytes.append(entry.load(fromByteOffset: leaf.offset, as: UInt8.self))
            case .fixed(let scalar):
                unsafe bytes += UnsafeRawBufferPointer(
                    start: entry + leaf.offset, count: scalar.width)
            case .bytes, .array:
                let reference = unsafe entry.load(
                    fromByteOffset: leaf.offset, as: HeapReference.self)
                unsafe heap.withBytes(of: reference) { content in
                    if leaves.count > 1 {
                        unsafe withUnsafeBytes(of: UInt32(content.count).littleEndian) {
                            unsafe bytes += $0
                        }
                    }
                    unsafe bytes += content
                }
            }
        }
        return bytes
    }

    private func isPresent(
        _ index: Int, _ leaves: [RowLayout.Leaf], _ entry: UnsafeRawPointer
    ) -> Bool {
        if let outer = leaves[index].scope, unsafe !isPresent(outer, leaves, entry) { return false }
        return unsafe entry.load(fromByteOffset: leaves[index].offset, as: UInt8.self) != 0
    }
}
