/// One measured number: a line that a subcommand prints and `all` collects.
struct Result {
    /// What is measured, such as `insert`.
    var metric: String
    /// Whose it is.
    var subject: String
    /// How much of it, such as `1M`.
    var scale: String
    var unit: String
    /// Which percentile of several samples it is, if it is one: p50, p99.9, p100.
    var percentile: String?
    var value: Double

    init(
        _ metric: String, _ subject: String, _ scale: String, _ unit: String, _ value: Double,
        percentile: String? = nil
    ) {
        self.metric = metric
        self.subject = subject
        self.scale = scale
        self.unit = unit
        self.percentile = percentile
        self.value = value
    }

    /// Prints a line: `result`, metric, subject, scale, unit, percentile or nothing, value, with tabs.
    func print() {
        Swift.print(
            "result", metric, subject, scale, unit, percentile ?? "", value, separator: "\t")
    }

    /// The result on a line, if there is one.
    init?(line: Substring) {
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 7, parts[0] == "result", let value = Double(parts[6]) else {
            return nil
        }
        self.init(
            parts[1], parts[2], parts[3], parts[4], value,
            percentile: parts[5].isEmpty ? nil : parts[5])
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
