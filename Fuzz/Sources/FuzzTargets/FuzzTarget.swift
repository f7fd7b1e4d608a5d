/// Something that takes bytes nobody vouches for, and a law that it must keep.
///
/// The law of all of them: it throws, or what it decodes encodes to bytes that decode to the same. A
/// broken law traps, and so does the sanitizer for memory.
@safe
public struct FuzzTarget: Sendable {
    /// The name of its folder of regressions.
    public let name: String
    /// Inputs to begin with, which all decode.
    public let seeds: @Sendable () -> [[UInt8]]
    /// Tries an input.
    public let run: @Sendable (UnsafeRawBufferPointer) -> Void

    /// All of them.
    public static let all: [FuzzTarget] = [
        .schema, .negotiation, .column, .chunk, .stream, .manifest, .delta, .migration,
    ]

    /// The target of that name.
    public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Traps when a law is broken.
func law(_ holds: Bool, _ sentence: String) {
    precondition(holds, sentence)
}
