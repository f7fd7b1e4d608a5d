/// Puts the chunks of jobs that are encoded side by side back into the order of the jobs.
///
///     encoders   job 3 ──► chunk chunk          ┐
///                job 4 ──► chunk                ├──► jobs 3, 4, 5 … one after the other ──► writer
///                job 5 ──►                      ┘
///
/// It holds at most `limit` bytes and what each encoder adds past it: one that would add more waits,
/// unless its job is the one being written. That one never waits, so the queue always moves.
final class ChunkQueue: Sendable {
    private struct State {
        /// Chunks that wait, by job.
        var jobs: [Int: Job] = [:]
        /// The job whose chunks are written.
        var current = 0
        var byteCount = 0
        var encoders: Int
        var failure: RepositoryError?
        /// Memory of chunks that have been written.
        var spare: [[UInt8]] = []

        /// Goes on to the next job once this one's chunks are all there and taken.
        ///
        /// Called by who ends in a call that wakes the others: the encoder of the next job may be waiting.
        mutating func advance() {
            while let job = jobs[current], job.isComplete, job.taken == job.chunks.count {
                jobs[current] = nil
                current += 1
            }
        }
    }

    private struct Job {
        var chunks: [[UInt8]] = []
        /// Chunks taken from the front.
        var taken = 0
        var isComplete = false
    }

    private let state: Monitor<State>
    private let limit: Int

    /// Creates a queue for a number of encoders, whose jobs are numbered from 0 without gaps.
    init(encoders: Int, limit: Int) {
        state = Monitor(State(encoders: encoders))
        self.limit = limit
    }

    /// Adds the next chunk of a job; waits while there are too many bytes.
    ///
    /// - Throws: why the checkpoint has failed.
    func add(_ chunk: UnsafeRawBufferPointer, of job: Int) throws(RepositoryError) {
        var copy = try state.wait { state -> Result<[UInt8], RepositoryError>? in
            if let failure = state.failure { return .failure(failure) }
            guard state.byteCount < limit || job == state.current else { return nil }
            state.byteCount += chunk.count
            return .success(state.spare.popLast() ?? [])
        }.get()
        copy.removeAll(keepingCapacity: true)
        unsafe copy.append(contentsOf: chunk)
        state.withLock { $0.jobs[job, default: Job()].chunks.append(copy) }
    }

    /// Says that a job has no more chunks.
    func complete(_ job: Int) {
        state.withLock { state in
            state.jobs[job, default: Job()].isComplete = true
            state.advance()
        }
    }

    /// Says that an encoder has no more jobs.
    func encoderEnded() { state.withLock { $0.encoders -= 1 } }

    /// Ends everyone's work; the first failure is the one that counts.
    func fail(_ error: RepositoryError) {
        state.withLock { state in
            if state.failure == nil { state.failure = error }
        }
    }

    /// Why the checkpoint has failed, if it has.
    var failure: RepositoryError? { state.withLock { $0.failure } }

    /// Takes the next chunk in order, or nil after the last.
    ///
    /// - Parameter written: the chunk taken before, whose memory is used again.
    /// - Throws: why the checkpoint has failed.
    func next(after written: [UInt8]?) throws(RepositoryError) -> [UInt8]? {
        if let written {
            state.withLock { state in
                state.byteCount -= written.count
                if state.spare.count < 64 { state.spare.append(written) }
            }
        }
        return try state.wait { state -> Result<[UInt8]?, RepositoryError>? in
            if let failure = state.failure { return .failure(failure) }
            if let job = state.jobs[state.current], job.taken < job.chunks.count {
                let chunk = job.chunks[job.taken]
                state.jobs[state.current]?.chunks[job.taken] = []
                state.jobs[state.current]?.taken += 1
                state.advance()
                return .success(chunk)
            }
            guard state.encoders == 0 else { return nil }
            precondition(state.jobs.isEmpty, "jobs are numbered without gaps")
            return .success(nil)
        }.get()
    }
}
