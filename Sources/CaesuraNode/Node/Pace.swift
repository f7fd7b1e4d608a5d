/// A limit of bytes a second: a bucket that holds a tenth of a second.
struct Pace {
    private let bytesPerSecond: UInt64?
    /// When what has been sent would have been at the limit.
    private var due = Duration.zero

    /// How far sending may be ahead: it is longer than a chunk takes at any limit that is of use.
    static let burst = Duration.milliseconds(100)

    init(bytesPerSecond: UInt64?) {
        self.bytesPerSecond = bytesPerSecond.map { max($0, 1) }
    }

    /// Notes bytes that were sent.
    mutating func note(_ byteCount: Int, at now: Duration) {
        guard let bytesPerSecond else { return }
        due = max(due, now) + .seconds(Double(byteCount) / Double(bytesPerSecond))
    }

    /// How long nothing is to be sent; nil if something may be now.
    func delay(at now: Duration) -> Duration? {
        let ahead = due - now
        return ahead > Self.burst ? ahead - Self.burst : nil
    }
}
