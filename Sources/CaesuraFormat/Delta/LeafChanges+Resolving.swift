/// From differences and affixes to values, with the values at hand that the changes are of.
extension LeafChanges {
    /// Which way changes are applied.
    public enum Direction: Hashable, Sendable {
        /// From the base to the target.
        case forwards
        /// From the target to the base, which takes a reversible delta.
        case backwards
    }

    /// The values that the rows are to have: ``new`` or ``old``.
    public func values(_ direction: Direction) -> ColumnBuffer {
        direction == .forwards ? new : old
    }

    /// Makes ``new`` (backwards ``old``) the values themselves, from ``base``: the values that the rows have, one
    /// for each of the changes, zero or empty where absent.
    ///
    /// - Parameters:
    ///   - leaf: The column they are of.
    ///   - direction: Which of the two.
    ///   - offset: The chunk's place, for errors.
    /// - Throws: `malformed` when a prefix and a suffix do not fit the value they are of, or as
    ///   ``check(_:_:at:)``.
    public func resolve(
        of leaf: LeafColumn, _ direction: Direction, at offset: Int
    ) throws(FormatError) {
        precondition(base.count == new.count, "a present value for each change")
        switch mode {
        case .value: break
        case .difference: resolveDifferences(direction)
        case .affix: try join(direction, offset)
        }
        mode = .value
        try check(leaf, direction, at: offset)
    }

    private func resolveDifferences(_ direction: Direction) {
        let target = values(direction)
        target.reserveCapacity(new.count)
        switch new.width {
        case 1: resolveDifferences(UInt8.self, target, direction)
        case 2: resolveDifferences(UInt16.self, target, direction)
        case 4: resolveDifferences(UInt32.self, target, direction)
        default: resolveDifferences(UInt64.self, target, direction)
        }
        target.count = new.count
    }

    private func resolveDifferences<Word: FixedWidthInteger & BitwiseCopyable>(
        _ type: Word.Type, _ target: ColumnBuffer, _ direction: Direction
    ) {
        let values = unsafe target.values.assumingMemoryBound(to: Word.self)
        let (differences, present) = unsafe (
            new.values.assumingMemoryBound(to: Word.self),
            base.values.assumingMemoryBound(to: Word.self)
        )
        if direction == .forwards {
            for index in 0..<new.count {
                unsafe values[index] = present[index] &+ differences[index]
            }
        } else {
            for index in 0..<new.count {
                unsafe values[index] = present[index] &- differences[index]
            }
        }
    }

    private func join(_ direction: Direction, _ offset: Int) throws(FormatError) {
        let width = new.width
        let whole = ColumnBuffer(kind: new.kind)
        whole.reserveCapacity(new.count)
        let middles = values(direction)
        var (middle, present) = unsafe (middles.content, base.content)
        let prefixes = unsafe self.prefixes.values.assumingMemoryBound(to: UInt32.self)
        let suffixes = unsafe self.suffixes.values.assumingMemoryBound(to: UInt32.self)
        let longest = Limits.inlineValueBytes / width
        for index in 0..<new.count {
            let (length, middleLength) = unsafe (
                Int(base.lengths[index]), Int(middles.lengths[index])
            )
            let (prefix, suffix) = unsafe (Int(prefixes[index]), Int(suffixes[index]))
            // Each is less than 2^32, so no sum overflows. Backwards the new middle is known too.
            let fits =
                direction == .forwards
                ? prefix + suffix <= length
                : unsafe prefix + Int(new.lengths[index]) + suffix == length
            guard length <= longest, fits, prefix + middleLength + suffix <= longest else {
                throw FormatError(
                    .malformed, "a changed value does not fit the one it is made of", at: offset)
            }
            // SAFETY: `length` elements of the present value begin at `present`, those between at `middle`, and the
            // column has room for them all.
            let made = prefix + middleLength + suffix
            whole.reserveContent(whole.contentByteCount + made * width)
            let target = unsafe whole.content + whole.contentByteCount
            unsafe target.copyMemory(from: present, byteCount: prefix * width)
            unsafe (target + prefix * width).copyMemory(
                from: middle, byteCount: middleLength * width)
            unsafe (target + (prefix + middleLength) * width).copyMemory(
                from: present + (length - suffix) * width, byteCount: suffix * width)
            unsafe whole.lengths[index] = UInt32(made)
            whole.contentByteCount += made * width
            unsafe present += length * width
            unsafe middle += middleLength * width
        }
        whole.count = new.count
        middles.takeContents(of: whole)
    }

    /// Checks values that are given as they are; the content of those that travel in segments is checked by who
    /// has it.
    ///
    /// - Throws: `malformed` when a text is not UTF-8, a Bool neither 0 nor 1, a case too long for one.
    public func check(
        _ leaf: LeafColumn, _ direction: Direction, at offset: Int
    ) throws(FormatError) {
        let values = values(direction)
        switch leaf.kind {
        case .presence, .fixed(.bool):
            for index in 0..<values.count
            where unsafe values.values.load(fromByteOffset: index, as: UInt8.self) > 1 {
                throw FormatError(.malformed, "a Bool that is neither 0 nor 1", at: offset)
            }
        case .fixed, .array: break
        case .bytes(let isText):
            if case .enumeration = leaf.type, values.hasSegmented {
                throw FormatError(
                    .malformed, "a changed value is no case of its type", at: offset)
            }
            let areValid =
                unsafe !isText
                || UTF8Validation.areValid(
                    values.lengths, values.content, count: values.count,
                    total: values.contentByteCount)
            guard areValid else {
                throw FormatError(.malformed, "a string is not UTF-8", at: offset)
            }
        }
    }
}
