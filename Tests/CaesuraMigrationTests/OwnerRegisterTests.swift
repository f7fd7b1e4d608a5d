import CaesuraMigration
import Testing

/// What every owner register keeps, shown by the one in the process.
@Suite struct OwnerRegisterTests {
    private static let partition = PartitionNumber(index: 5, bits: 4)

    @Test func `partitions of all divisions have different numbers`() {
        var numbers: Set = [PartitionNumber.unkeyed]
        for bits in 0...6 {
            for index in 0..<1 << bits {
                #expect(numbers.insert(PartitionNumber(index: index, bits: bits)).inserted)
            }
        }
        #expect(PartitionNumber(index: 5, bits: 4).description == "0000000000000015")
    }

    @Test func `what may follow an entry has fencing epochs of its own`() throws {
        let first = try OwnerEntry(creating: "a")
        #expect(first.number == 1 && first.fencingEpoch == 1)
        let next = try OwnerEntry.Change.allCases.map {
            try OwnerEntry($0, of: first, to: $0 == .abort ? "a" : "b")
        }
        #expect(next.map(\.fencingEpoch) == [2, 3, 4])
        #expect(next.allSatisfy { $0.number == 2 })
        #expect(throws: OwnerRegisterError(.malformed, "")) {
            try OwnerEntry(.abort, of: first, to: "b")
        }
        for name in ["", String(repeating: "é", count: 128)] {
            #expect(throws: OwnerRegisterError(.malformed, "")) { try OwnerEntry(creating: name) }
        }
        for (number, epoch) in [(0, 1), (2, 1), (1, OwnerEntry.limit)] as [(UInt64, UInt64)] {
            #expect(throws: OwnerRegisterError(.malformed, "")) {
                try OwnerEntry(
                    number: number, owner: "a", fencingEpoch: epoch, tenure: 1, previousTenure: 0)
            }
        }
        for (tenure, previous) in [(0, 0), (4, 1), (2, 2), (2, 0), (1, 1)] as [(UInt64, UInt64)] {
            #expect(throws: OwnerRegisterError(.malformed, "")) {
                try OwnerEntry(
                    number: 3, owner: "a", fencingEpoch: 3, tenure: tenure, previousTenure: previous
                )
            }
        }
        let last = try OwnerEntry(
            number: 1, owner: "a", fencingEpoch: OwnerEntry.limit - 1, tenure: 1, previousTenure: 0)
        #expect(throws: OwnerRegisterError(.malformed, "")) {
            try OwnerEntry(.commit, of: last, to: "b")
        }
    }

    @Test func `a tenure begins when a partition gets another owner, and tells the one before`()
        throws
    {
        var entry = try OwnerEntry(creating: "a")
        var tenures = [[entry.tenure, entry.previousTenure]]
        for (change, owner) in [
            (.abort, "a"), (.commit, "b"), (.abort, "b"), (.takeover, "c"), (.commit, "a"),
        ] as [(OwnerEntry.Change, String)] {
            entry = try OwnerEntry(change, of: entry, to: owner)
            tenures.append([entry.tenure, entry.previousTenure])
        }
        #expect(tenures == [[1, 0], [1, 0], [3, 1], [3, 1], [5, 3], [6, 5]])
    }

    @Test func `of a commit and an abort one comes to be, and the other is told`() async throws {
        let register = LocalOwnerRegister()
        #expect(try await register.last(of: Self.partition) == nil)
        let first = try OwnerEntry(creating: "a")
        #expect(try await register.append(first, to: Self.partition) == .appended)
        #expect(try await register.append(first, to: Self.partition) == .refused(first))
        let commit = try OwnerEntry(.commit, of: first, to: "b")
        let abort = try OwnerEntry(.abort, of: first, to: "a")
        #expect(try await register.append(abort, to: Self.partition) == .appended)
        #expect(try await register.append(commit, to: Self.partition) == .refused(abort))
        #expect(try await register.last(of: Self.partition) == abort)
        #expect(try await register.last(of: .unkeyed) == nil)
        let far = try OwnerEntry(
            number: 9, owner: "c", fencingEpoch: 9, tenure: 9, previousTenure: 8)
        await #expect(throws: OwnerRegisterError(.outOfOrder, "")) {
            try await register.append(far, to: Self.partition)
        }
    }
}
