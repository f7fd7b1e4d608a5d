/// From differences and affixes to values, with the base at hand.
extension LeafChanges {
    /// Makes ``new`` the new values themselves, from ``base``: the values at the base, one for each of the changes,
    /// zero or empty where absent.
    ///
    /// - Parameters:
    ///   - leaf: The column they are of.
    ///   - offset: The chunk's place, for errors.
    /// - Throws: `malformed` when a prefix or suffix is longer than the old value, or as ``check(_:at:)``.
    public func resolve(of leaf: LeafColumn, at offset: Int) throws(FormatError) {
        precondition(base.count == new.count, "an old value for each new one")
        switch mode {
        case .value: break
        case .difference: addDifferences(to: base)
        case .affix: try join(base, offset)
        }
        mode = .value
        try check(leaf, at: offset)
    }

    private func addDifferences(to before: ColumnBuffer) {
        switch new.width {
        case 1: add(UInt8.self, before)
        case 2: add(UInt16.self, before)
        case 4: add(UInt32.self, before)
        default: add(UInt64.self, before)
        }
    }

    private func add<Word: FixedWidthInteger & BitwiseCopyable>(
        _ type: Word.Type, _ before: ColumnBuffer
    ) {
        let (target, source) = unsafe (
            new.values.assumingMemoryBound(to: Word.self),
            before.values.assumingMemoryBound(to: Word.self)
        )
        for index in 0..<new.count { unsafe target[index] = target[index] &+ source[index] }
    }

    private func join(_ before: ColumnBuffer, _ offset: Int) throws(FormatError) {
        let width = new.width
        let whole = ColumnBuffer(kind: new.kind)
        whole.reserveCapacity(new.count)
        var (middle, old) = unsafe (new.content, before.content)
        let prefixes = unsafe self.prefixes.values.assumingMemoryBound(to: UInt32.self)
        let suffixes = unsafe self.suffixes.values.assumingMemoryBound(to: UInt32.self)
        let longest = Limits.inlineValueBytes / width
        for index in 0..<new.count {
            let (oldLength, middleLength) = unsafe (
                Int(before.lengths[index]), Int(new.lengths[index])
            )
            let (prefix, suffix) = unsafe (Int(prefixes[index]), Int(suffixes[index]))
            // Each is less than 2^32, so no sum overflows.
            guard oldLength <= longest, prefix + suffix <= oldLength,
                prefix + middleLength + suffix <= longest
            else {
                throw FormatError(
                    .malformed, "a changed value does not fit the one it is made of", at: offset)
            }
            // SAFETY: `oldLength` elements of the old value begin at `old`, the new middle at `middle`, and the
            // column has room for them all.
            let length = prefix + middleLength + suffix
            whole.reserveContent(whole.contentByteCount + length * width)
            let target = unsafe whole.content + whole.contentByteCount
            unsafe target.copyMemory(from: old, byteCount: prefix * width)
            unsafe (target + prefix * width).copyMemory(
                from: middle, byteCount: middleLength * width)
            unsafe (target + (prefix + middleLength) * width).copyMemory(
                from: old + (oldLength - suffix) * width, byteCount: suffix * width)
            unsafe whole.lengths[index] = UInt32(length)
            whole.contentByteCount += length * width
            unsafe old += oldLength * width
            unsafe middle += middleLength * width
        }
        whole.count = new.count
        new.takeContents(of: whole)
    }

    /// Checks new values that are given as they are.
    ///
    /// - Throws: `malformed` when a text is not UTF-8, a Bool neither 0 nor 1; `unsupported` for values that travel in
    ///   segments.
    public func check(_ leaf: LeafColumn, at offset: Int) throws(FormatError) {
        switch leaf.kind {
        case .presence, .fixed(.bool):
            for index in 0..<new.count
            where unsafe new.values.load(fromByteOffset: index, as: UInt8.self) > 1 {
                throw FormatError(.malformed, "a Bool that is neither 0 nor 1", at: offset)
            }
        case .fixed: break
        case .bytes, .array:
            for index in 0..<new.count
            where unsafe Int(new.lengths[index]) * new.width > Limits.inlineValueBytes {
                throw FormatError(
                    .unsupported, "a value of more than 64 KiB in a delta is of a newer format",
                    at: offset)
            }
            guard leaf.kind == .bytes(utf8: true) else { return }
            guard
                unsafe UTF8Validation.areValid(
                    new.lengths, new.content, count: new.count, total: new.contentByteCount)
            else { throw FormatError(.malformed, "a string is not UTF-8", at: offset) }
        }
    }
}
