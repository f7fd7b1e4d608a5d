import Foundation
import Synchronization

/// A way for requests from one process to the other: a ring in memory that both have mapped, with one thread at each end.
///
///     byte 0    how many were pushed, by the thread that pushes
///     byte 64   how many were taken, by the thread that takes
///     byte 128  the bell of the thread that takes
///     byte 192  the places
final class RequestRing: @unchecked Sendable {
    // `@unchecked Sendable`: a place is written by one thread before `pushed` says so, and read by the other after.
    private let pushed: UnsafeMutablePointer<Atomic<Int>>
    private let taken: UnsafeMutablePointer<Atomic<Int>>
    private let places: UnsafeMutablePointer<WriteRequest>
    private let memory: SharedMemory
    /// Wakes the thread that takes; who pushes rings it when that is to be.
    let bell: Bell

    private static let places = 192
    /// A second of the highest rates.
    static let capacity = 1 << 20
    static let byteCount = places + capacity * MemoryLayout<WriteRequest>.stride

    /// The ring that lies at an offset of memory, which was all zeros at first.
    init(in memory: SharedMemory, at offset: Int) {
        precondition(offset + Self.byteCount <= memory.byteCount, "a ring is within its memory")
        self.memory = memory
        let base = memory.base + offset
        pushed = base.assumingMemoryBound(to: Atomic<Int>.self)
        taken = (base + 64).assumingMemoryBound(to: Atomic<Int>.self)
        bell = Bell(in: memory, at: offset + 128)
        places = (base + Self.places).assumingMemoryBound(to: WriteRequest.self)
    }

    /// Pushes a request, if there is room.
    func push(_ request: WriteRequest) -> Bool {
        let count = pushed.pointee.load(ordering: .relaxed)
        guard count - taken.pointee.load(ordering: .acquiring) < Self.capacity else {
            return false
        }
        places[count & (Self.capacity - 1)] = request
        pushed.pointee.store(count + 1, ordering: .releasing)
        return true
    }

    /// Takes the oldest request.
    func take() -> WriteRequest? {
        let count = taken.pointee.load(ordering: .relaxed)
        guard count < pushed.pointee.load(ordering: .acquiring) else { return nil }
        let request = places[count & (Self.capacity - 1)]
        taken.pointee.store(count + 1, ordering: .releasing)
        return request
    }
}

/// The two rings between the processes.
struct RequestRings: Sendable {
    /// From who has the load to the other.
    let requests: RequestRing
    /// Back: what was done, and what belongs elsewhere.
    let answers: RequestRing

    /// Those in the memory of a file.
    init(in path: String) throws {
        let memory = try SharedMemory(path, byteCount: 2 * RequestRing.byteCount)
        requests = RequestRing(in: memory, at: 0)
        answers = RequestRing(in: memory, at: RequestRing.byteCount)
    }
}

/// A file's bytes, which all processes that map it share.
final class SharedMemory: @unchecked Sendable {
    // `@unchecked Sendable`: an address and a size that stay; whoever uses what lies there does so by atomics.
    let base: UnsafeMutableRawPointer
    let byteCount: Int

    /// Maps a file, which is made if it is not there.
    init(_ path: String, byteCount: Int) throws {
        let file = open(path, O_RDWR | O_CREAT, 0o600)
        defer { close(file) }
        guard file >= 0, ftruncate(file, byteCount) == 0,
            let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
            base != MAP_FAILED
        else { throw Failure("cannot map \(path)") }
        self.base = base
        self.byteCount = byteCount
    }

    deinit { munmap(base, byteCount) }
}
