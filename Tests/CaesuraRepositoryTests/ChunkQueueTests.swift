import Testing

@testable import CaesuraRepository

@Suite struct ChunkQueueTests {
    @Test(.timeLimit(.minutes(60)))
    func `an encoder that waits for its turn is woken when the job before it ends`() {
        // Too many bytes wait already, those of job 2. The encoder of job 1 waits until job 0 is over, which
        // its encoder says after the writer has taken all of it.
        for _ in 0..<500 {
            let queue = ChunkQueue(encoders: 3, limit: 1)
            let order = Monitor<[UInt8]>([])
            Self.add(2, to: queue)
            queue.complete(2)
            queue.encoderEnded()
            OwnThread.run(1) {
                Self.add(1, to: queue)
                queue.complete(1)
                queue.encoderEnded()
            } alongside: {
                Self.add(0, to: queue)
                let first = try? queue.next(after: nil)
                order.withLock { $0 += first ?? [] }
                OwnThread.run(1) {
                    var chunk = first
                    while let next = try? queue.next(after: chunk) {
                        order.withLock { $0 += next }
                        chunk = next
                    }
                } alongside: {
                    queue.complete(0)
                    queue.encoderEnded()
                }
            }
            #expect(order.withLock { $0 } == [0, 1, 2])
        }
    }

    private static func add(_ job: Int, to queue: ChunkQueue) {
        let chunk = [UInt8(job)]
        unsafe chunk.withUnsafeBytes { bytes in
            do {
                try unsafe queue.add(bytes, of: job)
            } catch {
                Issue.record(error)
            }
        }
    }
}
