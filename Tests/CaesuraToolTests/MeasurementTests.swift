import Testing

@testable import CaesuraTool

@Suite struct MeasurementTests {
    @Test func `a pause counts for every operation that came due in it`() {
        // 10,000 operations a second for 100 ms; one of them keeps the thread for 20 ms.
        var loop = OpenLoop(perSecond: 10_000, duration: 100_000_000, window: 10_000_000)
        let start = MonotonicClock.now()
        var done = 0
        loop.run(until: start + 100_000_000, meetsCheckpoint: { _ in false }) { _ in
            done += 1
            if done == 300 {
                let begun = MonotonicClock.now()
                while MonotonicClock.now() - begun < 20_000_000 {}
            }
            return .measured
        }
        #expect(loop.calm.count == UInt64(done))
        #expect(done >= 999)
        #expect(loop.calm.value(at: 100) >= 20_000_000)
        // 200 operations were due in the pause, and half of those waited for 10 ms or more: 10 % of all.
        #expect(loop.calm.value(at: 91) >= 9_000_000)
        #expect(loop.duringCheckpoint.count == 0)
    }

    @Test func `operations that meet a checkpoint are counted apart`() {
        var loop = OpenLoop(perSecond: 100_000, duration: 10_000_000, window: 1_000_000)
        var done = 0
        loop.run(until: MonotonicClock.now() + 10_000_000, meetsCheckpoint: { _ in done % 2 == 1 })
        { _ in
            done += 1
            return done < 100 ? .measured : .over
        }
        // Each one saw a checkpoint either before or after it.
        #expect(loop.duringCheckpoint.count == 99)
        #expect(loop.calm.count == 0)
    }

    @Test func `a gap delays what was due in it, the longer the earlier`() {
        var floor = NoiseFloor()
        floor.record(from: 0, to: 10_000)
        let latencies = floor.latencies
        #expect(latencies.count == 10)
        #expect(latencies.value(at: 100) == 10_000)
        #expect(latencies.value(at: 50) >= 5_000)
    }

    @Test func `readings that follow closely are no gaps`() {
        var floor = NoiseFloor()
        for reading in 0..<100_000 as Range<UInt64> {
            floor.record(from: reading * 40, to: reading * 40 + 40)
        }
        #expect(floor.latencies.count == 4_000)
        #expect(floor.latencies.value(at: 100) == 40)
    }

    @Test func `percentiles name the latency that so many do not exceed`() {
        var histogram = LatencyHistogram()
        for latency in 1...1_000 as ClosedRange<UInt64> { histogram.record(latency) }
        let percentiles = histogram.percentiles
        #expect(percentiles.count == 1_000)
        #expect(percentiles.p50 == 500)
        #expect(percentiles.p90 == 900)
        #expect(percentiles.p99 == 990)
        #expect(percentiles.p999 == 999)
        #expect(percentiles.p100 == 1_000)
        #expect(LatencyHistogram().percentiles.cells == ["–", "–", "–", "–", "–", "–"])
    }

    @Test(
        arguments: [
            (0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (1_234, "1.23 µs"),
            (12_340, "12.3 µs"),
            (123_400, "123 µs"), (999_499, "999 µs"), (999_500, "1.00 ms"), (9_999_999, "10.0 ms"),
            (999_500_000, "1.00 s"), (8_412_000_000, "8.41 s"), (123_000_000_000, "123 s"),
        ] as [(UInt64, String)])
    func `a duration has three digits and its unit`(nanoseconds: UInt64, text: String) {
        #expect(durationText(nanoseconds) == text)
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (26_412_345, "26.4 MB"), (1_500, "1.50 kB"),
        (2_000_000_000, "2.00 GB"),
    ])
    func `a size has three digits and its unit`(count: Int, text: String) {
        #expect(byteText(count) == text)
    }

    @Test func `long numbers are grouped`() {
        #expect(641_957.grouped == "641,957")
        #expect((-1_000).grouped == "-1,000")
        #expect(999.grouped == "999")
        #expect(1_000_000.grouped == "1,000,000")
    }
}
