/// How long the last few of something took: the way to a peer and back, a probe of the register.
struct RecentTimes {
    private var times: [Duration] = []

    /// How many are looked at.
    static let count = 8

    /// Notes how long one took.
    mutating func note(_ time: Duration) {
        if times.count == Self.count { times.removeFirst() }
        times.append(time)
    }

    /// The shortest: what it takes when nothing is in its way, as nothing is at a handover; nil before the first.
    var shortest: Duration? { times.min() }
}
