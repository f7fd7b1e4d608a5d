import Foundation
import Testing

@testable import CaesuraTool

@Suite struct ReportPageTests {
    /// A report with the shapes a real one has: a save of seconds, one of a pause, a dozen of microseconds.
    static let report: DemoReport = {
        var generator = SplitMix(state: 7)
        func latencies(_ count: Int, pause: UInt64) -> LatencyHistogram {
            var histogram = LatencyHistogram()
            for _ in 0..<count { histogram.record(600 + generator.next() % 900) }
            for _ in 0..<count / 500 { histogram.record(2_000 + generator.next() % 20_000) }
            histogram.record(gap: pause, interval: 20_000)
            return histogram
        }
        func timeline(_ windows: Int, saves: [DemoReport.Span], pause: UInt64) -> [UInt64] {
            (0..<windows).map { window in
                let time = UInt64(window) * 50_000_000
                for save in saves where save.start <= time && time < save.end + pause / 3 {
                    return time < save.start + pause ? pause - (time - save.start) : 30_000
                }
                return 4_000 + generator.next() % 30_000
            }
        }
        let slow = latencies(100_000, pause: 8_412_000_000)
        let copied = latencies(400_000, pause: 312_000_000)
        let quick = latencies(400_000, pause: 41_000)
        let floor = latencies(400_000, pause: 35_000)
        let long = [DemoReport.Span(start: 3_000_000_000, end: 11_412_000_000)]
        let short = (0..<12).map { index in
            DemoReport.Span(
                start: 3_000_000_000 + index * 1_000_000_000,
                end: 3_110_000_000 + index * 1_000_000_000)
        }
        func run(
            _ name: String, _ explanation: String, _ histogram: LatencyHistogram,
            _ pauses: [UInt64], _ byteCount: Int, _ saves: [DemoReport.Span], pause: UInt64
        ) -> DemoReport.Run {
            DemoReport.Run(
                name: name, explanation: explanation, pauses: pauses, byteCount: byteCount,
                calm: latencies(100_000, pause: 30_000).percentiles,
                duringSave: histogram.percentiles, curve: histogram.curve,
                floor: floor.percentiles, floorCurve: floor.curve,
                timeline: timeline(320, saves: saves, pause: pause),
                timelineWindow: 50_000_000, saves: saves)
        }
        return DemoReport(
            rows: 1_000_000, writesPerSecond: 50_000, cores: 2,
            runs: [
                run(
                    "Lock and JSON",
                    "Writers wait while JSONEncoder works through the whole table.", slow,
                    [8_412_000_000], 201_000_000, long, pause: 8_412_000_000),
                run(
                    "Copy and JSON", "The first write after the copy copies all rows.", copied,
                    [312_000_000], 201_000_000, long, pause: 312_000_000),
                run(
                    "Caesura",
                    "A cut flips an epoch; encoding and writing go on beside the writers.", quick,
                    [900, 1_400, 7_800], 41_300_000, short, pause: 41_000),
            ],
            migration: DemoReport.Migration(
                partitions: 17, byteCount: 44_000_000, duration: 900_000_000,
                blackouts: [310_000, 1_240_000, 420_000], forwarded: 98_000,
                before: quick.percentiles, during: copied.percentiles, after: quick.percentiles,
                timeline: timeline(200, saves: [], pause: 0), timelineWindow: 20_000_000,
                moving: DemoReport.Span(start: 2_000_000_000, end: 2_900_000_000)))
    }()

    @Test func `the page asks nothing of the network`() {
        let html = ReportPage(report: Self.report).html
        for word in ["http:", "https:", "src=", "@import", "url(", "<script", "<link"] {
            #expect(!html.contains(word), "\(word)")
        }
    }

    @Test func `the page is well-formed`() throws {
        let html = ReportPage(report: Self.report).html
        // The page is written so that it is XML, but for the doctype and the two meta elements.
        let xml = html.replacing("<!doctype html>\n", with: "")
            .replacing("<meta charset=\"utf-8\">", with: "")
            .replacing(#/<meta name="viewport"[^>]*>/#, with: "")
        var open: [Substring] = []
        for match in xml.matches(of: #/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/#) {
            if !match.1.isEmpty {
                #expect(open.popLast() == match.2)
            } else if match.3.isEmpty {
                open.append(match.2)
            }
        }
        #expect(open.isEmpty)
    }

    @Test func `the page shows the longest wait of each run and every save`() {
        let html = ReportPage(report: Self.report).html
        #expect(html.contains("<p class=\"figure\">8.41 s</p>"))
        #expect(html.contains("<p class=\"figure\">312 ms</p>"))
        #expect(html.contains("<p class=\"figure\">41.0 µs</p>"))
        // And the move.
        #expect(html.matches(of: #/<rect class="save"/#).count == 15)
        #expect(html.contains("1.24 ms at most"))
        #expect(!html.contains("nan") && !html.contains("inf,") && !html.contains("\"inf"))
    }

    @Test func `a report of runs without a single write still makes a page`() {
        var report = Self.report
        for index in report.runs.indices {
            report.runs[index].duringSave = LatencyHistogram().percentiles
            report.runs[index].curve = []
            report.runs[index].floorCurve = []
            report.runs[index].timeline = []
            report.runs[index].saves = []
            report.runs[index].pauses = []
        }
        report.migration.timeline = []
        report.migration.blackouts = []
        let html = ReportPage(report: report).html
        #expect(!html.contains("nan"))
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
