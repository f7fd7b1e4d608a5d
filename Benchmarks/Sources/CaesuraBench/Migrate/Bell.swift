import CMachine
import Synchronization

/// Wakes the one thread that sleeps by it, of whatever process, as soon as there is something for it to do.
///
/// Who has something for the thread first puts that where it looks, and then rings. A thread that is awake hears that when it
/// wants to sleep next, and looks again.
final class Bell: @unchecked Sendable {
    // `@unchecked Sendable`: all access to the word is atomic, and the memory lives as long as this.
    private let word: UnsafeMutablePointer<UInt32>
    private let memory: SharedMemory

    private static let awake: UInt32 = 0
    private static let asleep: UInt32 = 1
    private static let rung: UInt32 = 2

    /// The bell that lies at an offset of memory, which was all zeros at first.
    init(in memory: SharedMemory, at offset: Int) {
        self.memory = memory
        word = (memory.base + offset).assumingMemoryBound(to: UInt32.self)
    }

    private var state: UnsafeMutablePointer<Atomic<UInt32>> {
        UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Wakes the thread, if it sleeps; a system call only then.
    func ring() {
        let before = state.pointee.exchange(Self.rung, ordering: .sequentiallyConsistent)
        if before == Self.asleep { machine_wake(word) }
    }

    /// Sleeps until a time, or until it is rung; not at all if it was since the last time.
    func sleep(until time: UInt64) {
        let (isQuiet, _) = state.pointee.compareExchange(
            expected: Self.awake, desired: Self.asleep, ordering: .sequentiallyConsistent)
        if isQuiet { machine_wait_on(word, Self.asleep, time) }
        _ = state.pointee.exchange(Self.awake, ordering: .sequentiallyConsistent)
    }
}
