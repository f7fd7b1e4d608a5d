import Caesura
import CaesuraFormat
import CaesuraMigration
import CaesuraNode
import Testing

/// What a gate does while rows of its partition are still to come.
struct PartitionGateSlicesTests {
    typealias Journal = PartitionGateTests.Journal

    /// A gate with two slices that are to come and two that are there, and a row in each.
    struct Lacking {
        let gate = PartitionGate()
        let journal = Journal()
        let slices = HashRange.all.slices(bits: 2)
        /// A row of each slice.
        let rows: [RowReference]
        let entries: PartitionGateTests.Entries

        init() throws {
            entries = try PartitionGateTests.Entries()
            let table = try Store().table("t", key: UInt64.self, row: Account.self)
            rows = try slices.map { slice in
                let key = try #require(
                    (0..<1_000 as Range<UInt64>).first {
                        slice.contains(table.row($0).keyHash)
                    })
                return table.row(key)
            }
            let (journal, slices) = (journal, slices)
            gate.serve(entries.first, except: [slices[1], slices[3]]) { slice in
                journal.note("wants \(slices.firstIndex(of: slice) ?? -1)")
            }
        }

        func text(touching rows: [Int]?) -> String {
            let rows = rows.map { $0.map { self.rows[$0] } }
            return PartitionGateTests.text(gate.perform(touching: rows) { $0 })
        }

        func wait(_ name: String, touching rows: [Int]?) -> PartitionGate.Ticket? {
            let (rows, journal) = (rows.map { $0.map { self.rows[$0] } }, journal)
            return gate.wait(touching: rows) { resumption in
                journal.note("\(name) \(PartitionGateTests.text(resumption))")
            }
        }
    }

    @Test func `a write begins if it says which rows it touches and those are there`() throws {
        let lacking = try Lacking()
        #expect(lacking.text(touching: nil) == "wait")
        #expect(lacking.text(touching: [0]) == "done 1")
        #expect(lacking.text(touching: [0, 2]) == "done 1")
        #expect(lacking.text(touching: [1]) == "wait")
        #expect(lacking.text(touching: [0, 3]) == "wait")
        #expect(lacking.gate.enter() == nil)
        lacking.gate.open(lacking.slices[1])
        #expect(lacking.text(touching: [0, 1, 2]) == "done 1")
        #expect(lacking.text(touching: [3]) == "wait")
        lacking.gate.open(lacking.slices[3])
        #expect(lacking.text(touching: [3]) == "done 1")
        // All are there, and no checkpoint has the partition yet.
        #expect(lacking.text(touching: nil) == "wait")
        lacking.gate.complete()
        #expect(lacking.text(touching: nil) == "done 1")
        #expect(lacking.gate.read(touching: nil) { 5 }.value == 5)
    }

    @Test func `reads wait as writes do`() throws {
        let lacking = try Lacking()
        #expect(lacking.gate.read(touching: [lacking.rows[1]]) { 5 }.value == nil)
        #expect(lacking.gate.read { 5 }.value == nil)
        #expect(lacking.gate.read(touching: [lacking.rows[0]]) { 5 }.value == 5)
    }

    @Test func `those that wait are told when their rows have come, and say what they wait for`()
        throws
    {
        let lacking = try Lacking()
        #expect(lacking.wait("a", touching: [1]) != nil)
        #expect(lacking.wait("b", touching: [3, 0]) != nil)
        #expect(lacking.wait("c", touching: nil) != nil)
        #expect(lacking.wait("d", touching: [1, 3]) != nil)
        #expect(lacking.wait("e", touching: [2]) == nil)
        #expect(
            lacking.journal.take() == ["wants 1", "wants 3", "wants 1", "wants 3", "e serves"])
        lacking.gate.open(lacking.slices[1])
        #expect(lacking.journal.take() == ["a serves"])
        lacking.gate.open(lacking.slices[3])
        #expect(lacking.journal.take() == ["b serves", "d serves"])
        lacking.gate.complete()
        #expect(lacking.journal.take() == ["c serves"])
        #expect(lacking.gate.waitingCount == 0)
    }

    @Test func `a gate that is closed or served anew lacks nothing`() throws {
        let lacking = try Lacking()
        #expect(lacking.wait("a", touching: [1]) != nil)
        lacking.gate.close(lacking.entries.committed)
        #expect(lacking.journal.take() == ["wants 1", "a elsewhere 2"])
        #expect(lacking.text(touching: [0]) == "elsewhere 2")
        lacking.gate.serve(lacking.entries.aborted)
        #expect(lacking.text(touching: nil) == "done 3")
        #expect(lacking.text(touching: [1]) == "done 3")
    }

    @Test func `who waited for a gate that is served without all rows waits for these`() throws {
        let lacking = try Lacking()
        lacking.gate.seal {}
        #expect(lacking.wait("a", touching: [1]) != nil)
        #expect(lacking.wait("b", touching: [0]) != nil)
        _ = lacking.journal.take()
        let journal = lacking.journal
        lacking.gate.serve(lacking.entries.aborted, except: [lacking.slices[1]]) { _ in
            journal.note("wanted")
        }
        #expect(journal.take() == ["b serves", "wanted"])
        lacking.gate.open(lacking.slices[1])
        #expect(journal.take() == ["a serves"])
    }
}

extension PartitionGate.Outcome {
    fileprivate var value: Value? { if case .done(let value) = self { value } else { nil } }
}
