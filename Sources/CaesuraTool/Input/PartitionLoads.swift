import CaesuraMigration
import Foundation

/// A file that says what load each partition has: lines of a hexadecimal and a decimal number.
struct PartitionLoads {
    private let path: String
    private var loads: [PartitionNumber: UInt64] = [:]

    /// Reads a file.
    ///
    /// - Throws: With the line, if it is none of a partition and its load, or the partition had one before.
    init(_ path: String) throws(ToolError) {
        self.path = path
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ToolError("cannot read \(path): \(failureText(error))")
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.isEmpty { continue }
            guard words.count == 2, let number = UInt64(words[0], radix: 16), number < 1 << 17,
                let load = UInt64(words[1])
            else {
                throw ToolError(
                    "\(path):\(index + 1): this is no partition and load",
                    hint: "as 1f 4096: a hexadecimal number, and a load that is a whole number")
            }
            guard loads.updateValue(load, forKey: PartitionNumber(rawValue: number)) == nil else {
                throw ToolError("\(path):\(index + 1): partition \(words[0]) is there twice")
            }
        }
    }

    /// The load of a partition.
    ///
    /// - Throws: If it is needed and not there.
    func load(of partition: PartitionNumber, isNeeded: Bool) throws(ToolError) -> UInt64 {
        if let load = loads[partition] { return load }
        guard isNeeded else { return 0 }
        throw ToolError("\(path) has no load of partition \(partition.short)")
    }

    /// Looks whether all that have a load are partitions.
    ///
    /// - Throws: With the first that is none.
    func check(_ partitions: Set<PartitionNumber>) throws(ToolError) {
        guard let stranger = loads.keys.filter({ !partitions.contains($0) }).min() else { return }
        throw ToolError("\(path): there is no partition \(stranger.short)")
    }
}
