/// Writes the body of a delta chunk: `docs/FORMAT.md`, "Delta body".
struct DeltaEncoder: ~Copyable {
    private var columns = ColumnEncoder()
    private var scratch = Scratch()
    private var first = ByteWriter()
    private var second = ByteWriter()

    /// Bit 0 of the flags.
    static let reversible: UInt8 = 1
    /// Bit 1 of the flags.
    static let segments: UInt8 = 2

    /// Appends a body.
    mutating func encode(_ batch: DeltaBatch, into writer: inout ByteWriter) {
        writer.append(littleEndian: batch.baseDigest)
        writer.append(
            (batch.isReversible ? Self.reversible : 0)
                | (batch.segmentCount > 0 ? Self.segments : 0))
        if batch.segmentCount > 0 { writer.append(varint: UInt64(batch.segmentCount)) }
        writer.append(varint: batch.baseRowCount)
        PositionSet.encode(
            batch.removed, of: batch.baseRowCount, scratch: &scratch, into: &writer)
        PositionSet.encode(
            batch.updated, of: batch.baseRowCount, scratch: &scratch, into: &writer)
        if !batch.updated.isEmpty { encodeUpdates(batch, into: &writer) }
        writer.append(varint: UInt64(batch.inserted.rowCount))
        if batch.inserted.rowCount > 0 { encodeRows(batch.inserted, into: &writer) }
        if batch.isReversible, !batch.removed.isEmpty {
            precondition(
                batch.removedRows.rowCount == batch.removed.count, "the removed rows are there")
            encodeRows(batch.removedRows, into: &writer)
        }
    }

    private mutating func encodeUpdates(_ batch: DeltaBatch, into writer: inout ByteWriter) {
        let masks = batch.masks
        precondition(masks.codes.count == batch.updated.count, "a set for each updated row")
        writer.append(varint: UInt64(masks.count))
        for code in 0..<masks.count {
            var byte: UInt8 = 0
            for leaf in batch.keyLeafCount..<batch.leaves.count {
                let bit = (leaf - batch.keyLeafCount) & 7
                if masks.contains(leaf, in: code) { byte |= 1 << UInt8(bit) }
                if bit == 7 || leaf == batch.leaves.count - 1 {
                    writer.append(byte)
                    byte = 0
                }
            }
        }
        let codes = unsafe scratch.reserve(masks.codes.count, of: UInt16.self)
        for (index, code) in masks.codes.enumerated() { unsafe codes[index] = code }
        unsafe writer.append(
            codes: codes, count: masks.codes.count, base: 0, bits: bitLength(UInt(masks.count - 1)))
        for leaf in batch.keyLeafCount..<batch.leaves.count {
            let changes = batch.changes[leaf]
            if changes.new.count == 0 { continue }
            let isFirst = encode(changes, isReversible: batch.isReversible)
            writer.append(varint: UInt64(isFirst ? first.count : second.count))
            unsafe writer.append(isFirst ? first.bytes : second.bytes)
        }
    }

    /// Appends rows as a core body, and before it its length.
    private mutating func encodeRows(_ rows: ColumnBatch, into writer: inout ByteWriter) {
        first.truncate(to: 0)
        second.truncate(to: 0)
        first.append(varint: UInt64(rows.columns.count))
        for (leaf, column) in rows.columns.enumerated() {
            let before = second.count
            columns.encode(column, into: &second)
            first.append(varint: UInt64(leaf))
            first.append(varint: UInt64(second.count - before))
        }
        writer.append(varint: UInt64(first.count + second.count))
        unsafe writer.append(first.bytes)
        unsafe writer.append(second.bytes)
    }

    /// Encodes the changed values of a leaf in two ways; whether the first is the one to use.
    private mutating func encode(_ changes: LeafChanges, isReversible: Bool) -> Bool {
        precondition(
            changes.mode == .value && changes.old.count == changes.new.count,
            "values before and after")
        first.truncate(to: 0)
        first.append(LeafChanges.Mode.value.rawValue)
        columns.encode(changes.new, into: &first)
        if isReversible { columns.encode(changes.old, into: &first) }
        second.truncate(to: 0)
        let hasSecond =
            switch changes.new.kind {
            case .presence: encodeDifferences(changes, UInt8.self)
            case .fixed(let scalar):
                switch scalar.width {
                case 1: encodeDifferences(changes, UInt8.self)
                case 2: encodeDifferences(changes, UInt16.self)
                case 4: encodeDifferences(changes, UInt32.self)
                case 8: encodeDifferences(changes, UInt64.self)
                default: false
                }
            case .bytes, .array: encodeAffixes(changes, isReversible: isReversible)
            }
        return !hasSecond || first.count <= second.count
    }

    private mutating func encodeDifferences<
        Word: FixedWidthInteger & UnsignedInteger & BitwiseCopyable
    >(_ changes: LeafChanges, _ type: Word.Type) -> Bool {
        let count = changes.new.count
        let new = unsafe changes.new.values.assumingMemoryBound(to: Word.self)
        let old = unsafe changes.old.values.assumingMemoryBound(to: Word.self)
        let differences = unsafe scratch.reserve(count, of: Word.self)
        for index in 0..<count { unsafe differences[index] = new[index] &- old[index] }
        second.append(LeafChanges.Mode.difference.rawValue)
        unsafe columns.integers.encode(
            differences, count: count, signed: true, into: &second)
        return true
    }

    /// Common prefixes and suffixes, and what stands between; not where a value goes in segments.
    private mutating func encodeAffixes(_ changes: LeafChanges, isReversible: Bool) -> Bool {
        let (new, old) = (changes.new, changes.old)
        let width = new.width
        let longest = UInt32(Limits.inlineValueBytes / width)
        let middles = (new: ColumnBuffer(kind: new.kind), old: ColumnBuffer(kind: new.kind))
        middles.new.reserveCapacity(new.count)
        middles.old.reserveCapacity(new.count)
        middles.new.reserveContent(new.contentByteCount)
        middles.old.reserveContent(old.contentByteCount)
        changes.prefixes.reserveCapacity(new.count)
        changes.suffixes.reserveCapacity(new.count)
        let prefixes = unsafe changes.prefixes.values.assumingMemoryBound(to: UInt32.self)
        let suffixes = unsafe changes.suffixes.values.assumingMemoryBound(to: UInt32.self)
        var (newStart, oldStart) = unsafe (new.content, old.content)
        for index in 0..<new.count {
            let newLength = unsafe new.lengths[index]
            let oldLength = unsafe old.lengths[index]
            guard newLength <= longest, oldLength <= longest else { return false }
            let shorter = Int(min(newLength, oldLength))
            let (newBytes, oldBytes) = (Int(newLength) * width, Int(oldLength) * width)
            func isEqual(_ newElement: Int, _ oldElement: Int) -> Bool {
                for byte in 0..<width
                where unsafe newStart.load(
                    fromByteOffset: newElement * width + byte, as: UInt8.self)
                    != oldStart.load(fromByteOffset: oldElement * width + byte, as: UInt8.self)
                {
                    return false
                }
                return true
            }
            var prefix = 0
            while prefix < shorter, isEqual(prefix, prefix) { prefix += 1 }
            var suffix = 0
            while suffix < shorter - prefix,
                isEqual(Int(newLength) - 1 - suffix, Int(oldLength) - 1 - suffix)
            { suffix += 1 }
            unsafe prefixes[index] = UInt32(prefix)
            unsafe suffixes[index] = UInt32(suffix)
            let kept = (prefix + suffix) * width
            unsafe middles.new.append(newStart + prefix * width, byteCount: newBytes - kept)
            unsafe middles.old.append(oldStart + prefix * width, byteCount: oldBytes - kept)
            unsafe newStart += newBytes
            unsafe oldStart += oldBytes
        }
        second.append(LeafChanges.Mode.affix.rawValue)
        unsafe columns.integers.encode(prefixes, count: new.count, signed: false, into: &second)
        unsafe columns.integers.encode(suffixes, count: new.count, signed: false, into: &second)
        columns.encode(middles.new, into: &second)
        if isReversible { columns.encode(middles.old, into: &second) }
        return true
    }
}
