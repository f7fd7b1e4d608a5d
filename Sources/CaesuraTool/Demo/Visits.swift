/// The demo's load: visits to sessions picked at random, the same ones in every run.
struct Visits {
    private var state: UInt64 = 42
    private let count: UInt64

    init(sessionCount: Int) { count = UInt64(sessionCount) }

    /// The next session visited, and when.
    mutating func next() -> (id: UInt64, time: Int64) {
        // SplitMix64: no state but a counter, and well mixed.
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        let index = mixed.multipliedFullWidth(by: count).high
        return (Session.id(Int(index)), 1_700_000_200_000 + Int64(mixed >> 44))
    }
}
