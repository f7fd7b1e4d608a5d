import Testing

@testable import CaesuraRepository

/// Which checkpoints a rule keeps.
@Suite struct RetentionTests {
    private func kept(_ retention: Retention, _ moments: [Int64]) -> Set<UInt64> {
        retention.selection(
            of: moments.enumerated().map { index, moment in
                (UInt64(index), WallClock(microseconds: moment))
            })
    }

    @Test func `the last of each hour and day are kept, back from the newest`() {
        let hour: Int64 = 3_600_000_000
        let moments = [0, hour / 2, hour, 2 * hour, 26 * hour, 26 * hour + 1]
        #expect(kept(Retention(newest: 2), moments) == [4, 5])
        #expect(kept(Retention(hourly: .seconds(86_401)), moments) == [3, 5])
        #expect(kept(Retention(hourly: .seconds(30 * 3_600)), moments) == [1, 2, 3, 5])
        #expect(kept(Retention(daily: .seconds(30 * 3_600)), moments) == [3, 5])
    }

    @Test func `a clock that was ahead for a while removes nothing more`() {
        let hour: Int64 = 3_600_000_000
        let moments = [0, hour, 1_000_000 * hour, 2 * hour, 3 * hour]
        #expect(kept(Retention(hourly: .seconds(48 * 3_600)), moments) == [0, 1, 2, 3, 4])
    }

    @Test func `any moment that a chain file may state is taken`() {
        for span in [Duration.seconds(3_600), .seconds(Int64.max)] {
            let retention = Retention(hourly: span, daily: span)
            #expect(kept(retention, [.min, 0, .max]).contains(2))
            #expect(kept(retention, [.max, 0, .min]) == [0, 1, 2])
        }
    }
}
