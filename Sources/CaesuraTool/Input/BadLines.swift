import CaesuraRoutes

/// The lines that could not be read: how many for each reason, and where the first of them are.
struct BadLines: Sendable {
    /// How many there are for each reason.
    private(set) var counts: [RouteLineError.Reason: Int] = [:]
    /// The first ones, with the file each is in.
    private(set) var examples: [(file: String, error: RouteLineError)] = []

    /// Enough to see the pattern, few enough to read.
    static let maximumExamples = 20

    /// How many there are in all.
    var count: Int { counts.values.reduce(0, +) }

    /// Counts one.
    mutating func record(_ error: RouteLineError, file: String) {
        counts[error.reason, default: 0] += 1
        if examples.count < Self.maximumExamples { examples.append((file, error)) }
    }

    /// Adds those of another file.
    mutating func merge(_ other: BadLines) {
        counts.merge(other.counts, uniquingKeysWith: +)
        examples += other.examples.prefix(Self.maximumExamples - examples.count)
    }

    /// What a person reads, or nothing if all lines were good.
    var text: String {
        guard count > 0 else { return "" }
        var text = "\(count.grouped) bad \(count == 1 ? "line" : "lines"), left out:\n"
        for (reason, count) in counts.sorted(by: {
            ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue)
        }) {
            text += "  \(count.grouped.leftPadded(to: 10))  \(reason.sentence)\n"
        }
        for (file, error) in examples { text += "  \(file), \(error)\n" }
        if count > examples.count {
            text += "  … and \((count - examples.count).grouped) more\n"
        }
        return text
    }
}
