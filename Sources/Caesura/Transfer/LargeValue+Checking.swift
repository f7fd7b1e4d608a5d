import CaesuraFormat

extension LargeValue {
    /// Checks that the value holds what its leaf may hold.
    func check(_ kind: LeafColumn.Kind, at offset: Int) throws(FormatError) {
        switch kind {
        case .bytes(utf8: true):
            let isText = unsafe withContiguousBytes { bytes in
                unsafe (try? UTF8Span(
                    validating: Span(
                        _unsafeElements: bytes.assumingMemoryBound(to: UInt8.self)))) != nil
            }
            guard isText else {
                throw FormatError(.malformed, "a text in segments is not UTF-8", at: offset)
            }
        case .array(.bool):
            // Rows give them away as `Bool`, of which Swift allows no other bits.
            let areBools = unsafe withContiguousBytes { bytes in
                unsafe bytes.allSatisfy { $0 <= 1 }
            }
            guard areBools else {
                throw FormatError(
                    .malformed, "an array of bools in segments has a value that is none",
                    at: offset)
            }
        case .bytes, .array, .presence, .fixed: break
        }
    }
}
