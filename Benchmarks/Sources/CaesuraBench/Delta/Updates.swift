import Foundation

/// Updates of some distinct rows within a time: how often each came, and when last.
struct Updates {
    private(set) var byRow: [Int: (count: Int, last: Int)] = [:]
    private let rows: Int
    private let milliseconds: Int

    /// Draws rows, each as likely as the other and once only, or by a distribution and as often as it says, until so
    /// many have come.
    init(of changed: Int, rows: Int, _ zipf: Zipf?, milliseconds: Int) {
        self.rows = rows
        self.milliseconds = milliseconds
        // In an order that has nothing to do with where they lie.
        var random = RandomRows(rows: rows)
        var time = RandomRows(rows: milliseconds, seed: 0x1319_8A2E_0370_7344)
        var zipf = zipf
        while byRow.count < changed {
            let row = zipf?.next() ?? random.next()
            if zipf == nil, byRow[row] != nil { continue }
            let earlier = byRow[row] ?? (0, 0)
            byRow[row] = (earlier.count + 1, max(earlier.last, time.next()))
        }
    }

    /// The fewest bytes that can tell of them: which rows, how often each, and when last.
    ///
    /// log2 of the binomial coefficient for the rows; the entropy of the counts as they are distributed; and for the time
    /// of a row that came k times the entropy of the largest of k random milliseconds. For once each, log2 of the
    /// milliseconds.
    var floor: Double {
        let (n, k) = (Double(rows), Double(byRow.count))
        let all: Double = lgamma(n + 1)
        let rest: Double = lgamma(k + 1) + lgamma(n - k + 1)
        var bits = (all - rest) / log(2.0)
        var frequencies: [Int: Int] = [:]
        for update in byRow.values { frequencies[update.count, default: 0] += 1 }
        for (count, frequency) in frequencies {
            let share = Double(frequency) / k
            bits -= Double(frequency) * log2(share)
            bits += Double(frequency) * entropyOfLast(of: count)
        }
        return bits / 8
    }

    private func entropyOfLast(of count: Int) -> Double {
        let n = Double(milliseconds)
        var below = 0.0
        return (1...milliseconds).reduce(0) { bits, time in
            let upTo = pow(Double(time) / n, Double(count))
            let share = upTo - below
            below = upTo
            return share > 0 ? bits - share * log2(share) : bits
        }
    }
}
