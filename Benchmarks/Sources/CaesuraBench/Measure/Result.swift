/// One measured number: a line that a subcommand prints and `all` collects.
struct Result {
    /// What is measured, such as `table read`.
    var metric: String
    /// Whose it is.
    var subject: String
    /// How much of it, such as `1M`.
    var scale: String
    var unit: String
    var value: Double

    /// Prints a line of this form: metric, subject, scale, unit and value between tabs.
    func print() {
        Swift.print("result", metric, subject, scale, unit, value, separator: "\t")
    }

    init(_ metric: String, _ subject: String, _ scale: String, _ unit: String, _ value: Double) {
        self.metric = metric
        self.subject = subject
        self.scale = scale
        self.unit = unit
        self.value = value
    }

    /// The result on a line, if there is one.
    init?(line: Substring) {
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "result", let value = Double(parts[5]) else {
            return nil
        }
        self.init(String(parts[1]), String(parts[2]), String(parts[3]), String(parts[4]), value)
    }
}

/// A count as people write it: 1M, 200k, 12.0M.
func short(_ count: Int) -> String {
    func scaled(_ unit: Int, _ letter: String) -> String {
        count % unit == 0
            ? "\(count / unit)\(letter)"
            : "\(Double(count * 10 / unit) / 10)\(letter)"
    }
    if count >= 1_000_000 { return scaled(1_000_000, "M") }
    if count >= 1_000 { return scaled(1_000, "k") }
    return "\(count)"
}
