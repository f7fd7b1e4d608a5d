import Foundation

/// The machine's steady clock, read with as little around it as possible: about 25 ns.
enum MonotonicClock {
    /// Nanoseconds since some moment before the process began.
    static func now() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(bitPattern: Int64(time.tv_sec)) &* 1_000_000_000
            &+ UInt64(bitPattern: Int64(time.tv_nsec))
    }

    /// Returns at a moment, or throws ``ToolError/interrupted`` if the person wants the work to stop.
    static func wait(until moment: UInt64) async throws {
        while true {
            try Interruption.check()
            let now = now()
            if now >= moment { return }
            try await Task.sleep(nanoseconds: min(moment - now, 100_000_000))
        }
    }
}
