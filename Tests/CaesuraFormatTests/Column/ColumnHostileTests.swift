import CaesuraFormat
import CaesuraTesting
import Testing

/// Bytes that nobody vouches for: an error, or a column of as many values as were asked for.
@Suite struct ColumnHostileTests {
    @Test func `the width of differences is checked even where there are none`() {
        var decoder = ColumnDecoder(limits: Limits())
        let column = ColumnBuffer(kind: .fixed(.uint8))
        for (bits, isGood) in [(0, true), (7, true), (8, false), (255, false)] as [(UInt8, Bool)] {
            let bytes: [UInt8] = [3, 0, 0, bits]
            let code = unsafe bytes.withUnsafeBytes { bytes -> FormatError.Code? in
                do throws(FormatError) {
                    try unsafe decoder.decode(
                        bytes, kind: .fixed(.uint8), count: 1, origin: 0, into: column)
                    return nil
                } catch {
                    return error.code
                }
            }
            #expect(code == (isGood ? nil : .malformed))
        }
    }

    static let kinds: [LeafColumn.Kind] =
        [.presence, .bytes(utf8: false), .bytes(utf8: true), .array(.uint16), .array(.uuid)]
        + ScalarType.allCases.map { .fixed($0) }

    /// Decodes; if that succeeds the column must be whole, and must survive being coded again.
    static func check(
        _ bytes: some Collection<UInt8>, _ count: Int, _ buffer: ColumnBuffer,
        _ coder: inout ColumnCoder, again: Bool
    ) {
        // Memory of exactly this size, so that a sanitizer sees a read behind it.
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { unsafe input.deallocate() }
        unsafe input.copyBytes(from: bytes)
        do {
            try unsafe coder.decoder.decode(
                UnsafeRawBufferPointer(input), kind: buffer.kind, count: count, origin: 1000,
                into: buffer)
        } catch {
            #expect(buffer.count == 0 && buffer.contentByteCount == 0)
            #expect(error.offset >= 1000 && error.offset <= 1000 + bytes.count)
            return
        }
        guard buffer.count == count else {
            Issue.record("\(Array(bytes)) gave \(buffer.count) values of \(buffer.kind)")
            return
        }
        guard again else { return }
        let plain = PlainColumn(buffer)
        switch buffer.kind {
        case .presence, .fixed(.bool): #expect(plain.values.allSatisfy { $0[0] <= 1 })
        case .bytes(utf8: true):
            #expect(plain.values.allSatisfy { String(validating: $0, as: UTF8.self) != nil })
        default: break
        }
        let back = try? coder.decode(coder.encode(plain), buffer.kind, count: count)
        if back != plain {
            Issue.record("\(Array(bytes)) decodes to \(plain), which does not survive")
        }
    }

    @Test(arguments: Self.kinds)
    func `every short byte string is refused or decoded`(kind: LeafColumn.Kind) {
        var coder = ColumnCoder()
        let buffer = ColumnBuffer(kind: kind)
        for count in [0, 1, 3] { Self.check([], count, buffer, &coder, again: true) }
        for a in 0...UInt8.max {
            for count in [0, 1, 3] { Self.check([a], count, buffer, &coder, again: true) }
        }
        let some: [UInt8] = [0, 1, 2, 3, 7, 8, 9, 63, 64, 127, 128, 255]
        for a in 0...10 as ClosedRange<UInt8> {
            for b in 0...UInt8.max {
                for count in [1, 3] { Self.check([a, b], count, buffer, &coder, again: true) }
                for c in some where b < 16 || some.contains(b) {
                    Self.check([a, b, c], 2, buffer, &coder, again: b < 4)
                    Self.check([a, b, c, c &- b, 0], 3, buffer, &coder, again: c < 4)
                }
            }
        }
    }

    /// One column for each coding, wide enough that every part of its layout occurs.
    static let columns: [PlainColumn] = {
        let strings = (0..<40).map { ["US", "DE", "INDIA", ""][$0 * 7 % 13 % 4] }
        let tokens = (1..<10).map { String(0x9E37_79B9_7F4A_7C15 &* UInt64($0), radix: 16) }
        let words = (0..<20).map { String(repeating: "héllo wörld", count: $0 % 3) }
        let paths = (0..<20).map { "/srv/data/part-\(100 + $0)" }
        let doubles = (0..<40).map { $0 % 16 == 5 ? Double.nan : Double($0 * 37) / 100 }
        let floats = (0..<40).map { $0 == 5 ? -0.0 : Float($0 * 37) / 10 }
        let few = (0..<64).map { [1_000_000_007, 3, UInt64.max, 1 << 40][$0 * 5 % 7 % 4] }
        var columns = [
            PlainColumn(.int32, integers: [7, 7, 7] as [Int32]),
            PlainColumn(.uint64, integers: [1, 1 << 63, 0] as [UInt64]),
            PlainColumn(.uint16, integers: (0..<20).map { UInt16($0 * 77 % 64) }),
            PlainColumn(.uint8, integers: (0..<30).map { UInt8($0 * 7 % 5) }),
            PlainColumn(.int64, integers: (0..<30).map { Int64($0 * 1000 - $0 % 3) }),
            PlainColumn(.uint64, integers: few),
            PlainColumn(.uint32, integers: (0..<90).map { UInt32($0 / 30 * 123_456) }),
            PlainColumn(.int128, integers: (0..<9).map { Int128($0) - 4 }),
            PlainColumn(.presence, (0..<70).map { [UInt8($0 / 3 % 2)] }),
            PlainColumn(doubles: doubles), PlainColumn(floats: floats),
            PlainColumn(strings: strings), PlainColumn(strings: tokens),
            PlainColumn(strings: words), PlainColumn(strings: paths),
            PlainColumn(.array(.uint16), (0..<9).map { [UInt8](repeating: 3, count: $0 % 4 * 2) }),
        ]
        var long = PlainColumn(strings: ["a", "", "b"])
        long.segmented[1] = 100_000
        columns.append(long)
        return columns
    }()

    @Test func `the columns for mutation use every coding`() {
        var coder = ColumnCoder()
        let used = Set(Self.columns.map { coder.encode($0)[0] })
        #expect(used == Set(ColumnCoding.allCases.map(\.rawValue)))
    }

    @Test(arguments: Self.columns.indices)
    func `every changed byte and every cut is refused or decoded`(index: Int) {
        var coder = ColumnCoder()
        let column = Self.columns[index]
        let valid = coder.encode(column)
        let buffer = ColumnBuffer(kind: column.kind)
        let count = column.values.count
        for length in 0..<valid.count {
            Self.check(valid[..<length], count, buffer, &coder, again: false)
            #expect(buffer.count == 0, "a column cut to \(length) bytes was read")
        }
        Self.check(valid + [0], count, buffer, &coder, again: false)
        #expect(buffer.count == 0, "a byte behind a column was ignored")
        for wrong in [0, 1, count - 1, count + 1, count * 9] where wrong != count {
            Self.check(valid, wrong, buffer, &coder, again: true)
        }
        for position in valid.indices {
            var changed = valid
            // Every value where the layout is, some where the packed values are.
            for value in 0...UInt8.max where position < 24 || value & 15 == position & 15 {
                changed[position] = value
                Self.check(changed, count, buffer, &coder, again: value & 31 == position & 31)
            }
        }
    }

    @Test func `random bytes behind a valid coding are refused or decoded`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(seed: seed)
        var coder = ColumnCoder()
        for kind in Self.kinds {
            let buffer = ColumnBuffer(kind: kind)
            for round in 0..<1500 {
                let count = Int.random(in: 0...40, using: &random)
                var bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                        & [255, 15, 3, 255][Int.random(in: 0..<4, using: &random)]
                }
                if !bytes.isEmpty { bytes[0] %= 10 }
                Self.check(bytes, count, buffer, &coder, again: round % 8 == 0)
            }
        }
        print("seed \(seed)")
    }

    @Test func `the width of differences is checked where there are none`() throws {
        var coder = ColumnCoder()
        _ = try coder.decode([3, 0, 0, 7], .fixed(.uint8), count: 1)
        for bits in [8, 63, 255] as [UInt8] {
            #expect(throws: FormatError(.malformed, "", at: 0), "\(bits) bits") {
                try coder.decode([3, 0, 0, bits], .fixed(.uint8), count: 1)
            }
        }
    }

    @Test func `a small input cannot ask for much memory`() {
        var coder = ColumnCoder()
        // 8,192 lengths of 65,536 each: half a gigabyte, in a dozen bytes.
        let lengths: [UInt8] = [1, 0x80, 0x80, 0x08]
        let buffer = ColumnBuffer(kind: .bytes(utf8: true))
        for input in [
            [8] + lengths + [2, 1, 0x61], [0] + lengths, [9, 1, 0] + [8] + lengths + [2, 1, 0x61],
        ] as [[UInt8]] {
            Self.check(input, 8192, buffer, &coder, again: false)
            #expect(buffer.count == 0 && buffer.contentCapacity < 4096)
        }
        let array = ColumnBuffer(kind: .array(.uint64))
        Self.check([1, 0x80, 0x80, 0x01, 1, 0], 8192, array, &coder, again: false)
        #expect(array.count == 0 && array.contentCapacity < 4096)
        #expect(throws: FormatError(.limitExceeded, "", at: 0)) {
            try coder.decode([0] + lengths, .bytes(utf8: true), count: 8192)
        }
    }
}
