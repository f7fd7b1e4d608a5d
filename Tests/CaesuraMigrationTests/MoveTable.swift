import CaesuraMigration
import Testing

/// Tables of what a machine of a move does in each state with each event: a line for each outcome.
enum MoveTable {
    static let partition = PartitionNumber(index: 0, bits: 0)

    /// Entries of the partition: the source's, what the target appends, what the source appends to abort, a later one of each,
    /// and that of a third node.
    struct Entries {
        let own: OwnerEntry
        let committed: OwnerEntry
        let aborted: OwnerEntry
        let returned: OwnerEntry
        let others: OwnerEntry

        init() throws {
            own = try OwnerEntry(creating: "source")
            committed = try OwnerEntry(.commit, of: own, to: "target")
            aborted = try OwnerEntry(.abort, of: own, to: "source")
            returned = try OwnerEntry(.abort, of: committed, to: "target")
            others = try OwnerEntry(.takeover, of: committed, to: "third")
        }

        func name(_ entry: OwnerEntry) -> String {
            switch entry {
            case own: "own"
            case committed: "committed"
            case aborted: "aborted"
            case returned: "returned"
            case others: "others"
            default: "\(entry.owner) \(entry.fencingEpoch)"
            }
        }
    }

    /// A line for each state and each outcome, with the events that lead to it.
    static func lines(
        _ states: [String],
        _ outcomes: (Int) -> [(event: String, before: String, after: String, actions: [String])]
    ) -> [String] {
        var lines: [String] = []
        for (index, state) in states.enumerated() {
            var outcome: [String] = []
            var events: [String: [String]] = [:]
            for (event, before, after, actions) in outcomes(index) {
                if actions.isEmpty, before == after { continue }
                let parts = (before == after ? [] : [after + "."]) + actions
                let text = parts.joined(separator: " ")
                if events[text] == nil { outcome.append(text) }
                events[text, default: []].append(event)
            }
            for text in outcome {
                lines.append(
                    "\(state) | \(events[text, default: []].joined(separator: ", ")) | \(text)")
            }
        }
        return lines
    }

    static func expectSame(_ table: [String], _ expected: String) {
        let expected = expected.split(separator: "\n").map(String.init)
        for line in table where !expected.contains(line) { Issue.record("not expected: \(line)") }
        for line in expected where !table.contains(line) { Issue.record("expected: \(line)") }
    }
}
