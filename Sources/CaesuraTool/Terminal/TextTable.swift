/// Rows of words in columns as wide as their longest word; the first to the left, the others to the right.
struct TextTable {
    private var rows: [[String]] = []

    /// Creates a table with a line of headings.
    init(_ headings: [String]) { rows = [headings] }

    /// Adds a line.
    mutating func append(_ row: [String]) { rows.append(row) }

    /// The lines, indented by two, without spaces at their ends.
    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = " "
            for (column, cell) in row.enumerated() {
                line += " "
                line +=
                    column == 0
                    ? cell.rightPadded(to: widths[column])
                    : " " + cell.leftPadded(to: widths[column])
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }
        .joined()
    }
}
