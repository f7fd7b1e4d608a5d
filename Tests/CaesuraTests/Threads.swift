import Foundation
import Synchronization

/// Runs each body on a thread of its own and waits for all; throws the first error.
///
/// Not tasks: a body that spins until another is done would keep it from running where the cooperative pool
/// has fewer threads than there are bodies.
func onThreads(_ bodies: (@Sendable () throws -> Void)...) throws {
    let errors = Errors()
    let group = DispatchGroup()
    for body in bodies {
        group.enter()
        let thread = Thread {
            do { try body() } catch { errors.note(error) }
            group.leave()
        }
        thread.start()
    }
    group.wait()
    if let error = errors.first { throw error }
}

private final class Errors: Sendable {
    private let errors = Mutex<[any Error]>([])
    func note(_ error: any Error) { errors.withLock { $0.append(error) } }
    var first: (any Error)? { errors.withLock { $0.first } }
}
