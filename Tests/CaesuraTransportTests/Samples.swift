import CaesuraFormat
import CaesuraMigration
import CaesuraTransport

/// A message of each kind that is not the transport's own.
func samples() throws -> [NodeConnection.Element] {
    let entry = try OwnerEntry(number: 3, owner: "b", fencingEpoch: 5, tenure: 1, previousTenure: 0)
    return [
        (
            0,
            .hello(
                Hello(
                    node: "node-a", hashKey0: 1, hashKey1: 2, takesHashKey: true, moveBits: 4,
                    partitionBits: 6))
        ),
        (0, .schemas(.acceptance(digest: 0x1122_3344_5566_7788))),
        (
            7,
            .move(
                MoveRequest(
                    partition: PartitionNumber(index: 2, bits: 4), attempt: 9, purpose: .handover,
                    entry: entry))
        ),
        (7, .have(.nothing)),
        (7, .have(.part(Holding.Part(round: 2, epoch: 40, chunks: 300, bytes: 77)))),
        (7, .have(.owns(entry))),
        (7, .round(Round(number: 2, epoch: 41, baseEpoch: 40, baseDigest: 0xABCD))),
        (7, .chunk([])),
        (8, .chunk([1, 2, 3])),
        (7, .chunk((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })),
        (7, .applied(Applied(round: 2, chunks: 4, bytes: 1_000, isComplete: true))),
        (7, .audit(Audit(epoch: 40, digest: 0xABCD, rows: 12))),
        (7, .handover(Handover(epoch: 44, digest: 0xABCD))),
        (7, .owned(entry)),
        (7, .durable(entry)),
        (.max, .giveUp(MigrationProblem(.noRoom, "full"))),
        (7, .aborted(entry)),
        (7, .handoverAhead(HandoverAhead(epoch: 44, missing: [HashRange(partition: 1, bits: 2)]))),
        (7, .pull(HashRange(partition: 1, bits: 2))),
        (7, .sliceEnd(SliceEnd(slice: HashRange(partition: 1, bits: 2), chunks: 3))),
        (0, .order(.move(MoveOrder(to: "b", policy: .slow(limit: .milliseconds(1)))))),
        (0, .answer(.moves(MoveStatus(PartitionNumber(index: 2, bits: 4), to: "b")))),
        (0, .refusal(MigrationProblem(.mismatch, "no"))),
    ]
}
