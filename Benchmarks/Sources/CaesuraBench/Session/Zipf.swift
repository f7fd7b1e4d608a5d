import Foundation

/// Rows of which a few are asked for much more often than others: rank r with probability ~ 1 / r^theta.
///
/// By inversion of the continuous approximation (J. Gray et al., *Quickly generating billion-record synthetic
/// databases*, SIGMOD 1994), and ranks spread over the rows.
struct Zipf: Sendable {
    private let count: Int
    private let exponent: Double
    private let reach: Double
    private var random = RandomRows(rows: 1 << 52)

    init(count: Int, theta: Double) {
        self.count = count
        exponent = 1 / (1 - theta)
        reach = pow(Double(count), 1 - theta) - 1
    }

    /// A row number less than `count`.
    mutating func next() -> Int {
        let uniform = Double(random.next()) / Double(1 << 52)
        let rank = min(count - 1, Int(pow(uniform * reach + 1, exponent)) - 1)
        return Int(
            UInt64(count).multipliedFullWidth(by: UInt64(rank) &* 0x9E37_79B9_7F4A_7C15).high)
    }
}
