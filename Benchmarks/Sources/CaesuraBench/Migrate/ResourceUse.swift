import CMachine
import Foundation
import Synchronization

/// What a process has used.
struct ResourceUse: Sendable {
    /// Nanoseconds of processor time, without those of the load's thread.
    var processor: Int
    /// Resident anonymous bytes now.
    var resident: Int
    /// The most of them since it was last asked.
    var peak: Int
}

/// Looks at what this process uses, from a thread of its own.
final class ResourceWatch: Sendable {
    private let peak = Atomic<Int>(0)
    /// The clock of the load's thread; nil while there is none.
    private let loadClock = Mutex<Int32?>(nil)
    /// Processor time of earlier threads of the load.
    private let earlierLoad = Atomic<Int>(0)

    private static let interval: UInt64 = 10_000_000

    /// Begins to look; until the process ends.
    init() {
        let thread = Thread { [self] in
            while true {
                note()
                machine_sleep_until(now() + Self.interval)
            }
        }
        thread.start()
    }

    @discardableResult private func note() -> Int {
        let resident = Memory.residentBytesAsIs()
        peak.max(resident, ordering: .relaxed)
        return resident
    }

    /// Runs the load on the calling thread, whose processor time does not count.
    func load<Outcome>(_ body: () -> Outcome) -> Outcome {
        loadClock.withLock { $0 = machine_thread_clock() }
        defer {
            loadClock.withLock { clock in
                earlierLoad.add(
                    Int(machine_read_clock(machine_thread_clock())), ordering: .relaxed)
                clock = nil
            }
        }
        return body()
    }

    /// What was used so far; the peak begins anew.
    func take() -> ResourceUse {
        let load = loadClock.withLock { clock in
            earlierLoad.load(ordering: .relaxed) + (clock.map { Int(machine_read_clock($0)) } ?? 0)
        }
        let processor = Int(machine_processor_time()) - load
        let resident = note()
        return ResourceUse(
            processor: processor, resident: resident,
            peak: peak.exchange(resident, ordering: .relaxed))
    }
}
