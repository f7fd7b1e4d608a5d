import Synchronization

/// Whether the caller still wants what its threads are doing.
final class Cancellation: Sendable {
    private let isRequested = Atomic(false)

    /// Asks the threads to stop soon.
    func request() { isRequested.store(true, ordering: .releasing) }

    /// Stops here if that was asked for.
    func check() throws(RepositoryError) {
        guard isRequested.load(ordering: .acquiring) else { return }
        throw RepositoryError(.cancelled, "the task that asked for it was cancelled")
    }
}

extension OwnThread {
    /// Runs `body` on a new thread; a cancellation of the caller's task reaches it.
    static func run<Result: Sendable>(
        cancellable body: @escaping @Sendable (Cancellation) throws(RepositoryError) -> Result
    ) async throws(RepositoryError) -> Result {
        let cancellation = Cancellation()
        let result = await withTaskCancellationHandler {
            do throws(RepositoryError) {
                return Swift.Result<Result, RepositoryError>.success(
                    try await run { () throws(RepositoryError) in try body(cancellation) })
            } catch {
                return .failure(error)
            }
        } onCancel: {
            cancellation.request()
        }
        return try result.get()
    }
}
