import Testing

@testable import CaesuraRepository

@Suite struct WallClockTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] as [(Int64, String)])
    func `a moment is written in RFC 3339 and read back`(_ microseconds: Int64, _ text: String) {
        #expect(WallClock(microseconds: microseconds).description == text)
        #expect(WallClock(text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2100-02-29T00:00:00.000000Z", "2000-01-01T24:00:00.000000Z",
        "2000-01-01 00:00:00.000000Z", "2000-01-01T00:00:00.00000ZZ", "2000-01-01T00:00:60.000000Z",
        "2000-01-01T00:00:00.000000z",
    ])
    func `other text is no moment`(_ text: String) {
        #expect(WallClock(text) == nil)
    }
}
