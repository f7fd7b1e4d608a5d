import Foundation

/// A bar on standard error while a person watches; nothing at all otherwise.
struct ProgressBar {
    private let isShown: Bool
    private let label: String
    private var lastDrawn: UInt64 = 0
    private var isDrawn = false

    /// Ten times a second is smooth to the eye and free to the work.
    private static let interval: UInt64 = 100_000_000
    private static let width = 30

    init(_ label: String) {
        self.label = label
        isShown =
            isatty(STDERR_FILENO) == 1
            && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Shows how far the work is: a share of 1 where the end is known, and a few words.
    mutating func update(_ share: Double?, _ detail: @autoclosure () -> String = "") {
        guard isShown else { return }
        let now = MonotonicClock.now()
        guard now - lastDrawn >= Self.interval else { return }
        lastDrawn = now
        isDrawn = true
        var line = "\r\u{1B}[2K\(label) "
        if let share {
            let filled = Int((min(max(share, 0), 1) * Double(Self.width)).rounded())
            line += String(repeating: "█", count: filled)
            line += String(repeating: "░", count: Self.width - filled)
            line += " \(Int(min(max(share, 0), 1) * 100)) %  "
        }
        line += detail()
        StandardError.write(line)
    }

    /// Takes the bar away, so that what is printed next starts on a clean line.
    mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        StandardError.write("\r\u{1B}[2K")
    }
}
