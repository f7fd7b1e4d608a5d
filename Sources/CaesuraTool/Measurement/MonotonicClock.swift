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
}
