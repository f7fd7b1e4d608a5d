/// How often which fault has hit which step of the protocol: the matrix in `docs/FAULTS.md`.
///
/// A fault that begins hits all steps in which something is that it concerns. One that lasts (the register, a network that
/// loses or delays, a full disk) also hits what comes into a step meanwhile. One that waits for its victim (the next frame,
/// the next append) hits the steps of the move, or of the connection, whose frame or append that is; an append that comes to
/// be late hits the steps in which its partition is then.
public struct Coverage: Hashable, Sendable {
    private var counts = Array(
        repeating: 0, count: ProtocolStep.allCases.count * FaultEffect.allCases.count)

    /// Nothing was hit.
    public init() {}

    /// How often a fault has hit a step.
    public internal(set) subscript(step: ProtocolStep, effect: FaultEffect) -> Int {
        get { counts[Self.place(step, effect)] }
        set { counts[Self.place(step, effect)] = newValue }
    }

    /// Adds what was hit in another run.
    public mutating func add(_ other: Coverage) {
        for place in counts.indices { counts[place] += other.counts[place] }
    }

    private static let steps = Dictionary(
        uniqueKeysWithValues: ProtocolStep.allCases.enumerated().map { ($1, $0) })
    private static let effects = Dictionary(
        uniqueKeysWithValues: FaultEffect.allCases.enumerated().map { ($1, $0) })

    private static func place(_ step: ProtocolStep, _ effect: FaultEffect) -> Int {
        guard let row = steps[step], let column = effects[effect] else {
            preconditionFailure("all cases are in the tables")
        }
        return row * FaultEffect.allCases.count + column
    }
}
