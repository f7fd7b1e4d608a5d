import CaesuraNode

/// A stream of numbers that look random, from a seed.
struct Random: RandomNumberGenerator {
    private var numbers: SplitMix

    /// A stream of a seed; those of different numbers have nothing in common.
    init(seed: UInt64, stream: UInt64) {
        var seeds = SplitMix(
            seed: seed &* 0xD134_2543_DE82_EF95 &+ stream &* 0x2545_F491_4F6C_DD1D)
        numbers = SplitMix(seed: seeds.next())
    }

    mutating func next() -> UInt64 { numbers.next() }

    /// A number from 0 that is below a bound.
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<max(bound, 1), using: &self) }
}
