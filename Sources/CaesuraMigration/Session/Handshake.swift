public import CaesuraFormat

/// One side's part in what comes before moves on a connection: `docs/MIGRATION.md` section 4, "The handshake".
///
///     greeting ── hello ──► negotiating ── verdicts ──► agreed
///        └──────────────────────┴─ what does not go together ──► refused
///
/// A machine without I/O and clock, as ``SourceMove``: it is given what came, and says what is sent.
public struct Handshake: Sendable {
    /// What has happened.
    public enum Event: Sendable {
        /// The other side has sent something.
        case received(MigrationMessage)
        /// ``timeLimit`` is over.
        case timedOut
    }

    /// What both sides have settled.
    public struct Agreement: Hashable, Sendable {
        /// The other side's hello.
        public let peer: Hello
        /// The version of the protocol.
        public let version: UInt16
        /// How the source's rows are read by the target.
        public let schemas: SchemaAgreement
        /// The hash key that this side, a target without rows, has to take over; nil if it is the same.
        public let hashKey: HashKey?
    }

    /// How far it is.
    public enum State: Hashable, Sendable {
        /// The other side's hello has not come.
        case greeting
        /// It goes with this side's; the schemas are not settled.
        case negotiating
        /// Moves can begin.
        case agreed(Agreement)
        /// The connection ends.
        case refused(MigrationProblem)
    }

    /// How far it is.
    public private(set) var state = State.greeting

    /// How long it may take; an offer of schemas is at most 16 MiB.
    public static let timeLimit = Duration.seconds(10)

    private let role: SchemaNegotiation.Role
    private let own: Hello
    private let expectedNames: Set<String>?
    private var negotiation: SchemaNegotiation
    private var peer: (hello: Hello, version: UInt16)?

    /// Begins on a new connection.
    ///
    /// - Parameters:
    ///   - role: The source is who has opened the connection.
    ///   - hello: What this side is.
    ///   - offer: What it writes and reads.
    ///   - names: The names that the other side may have: the one that was dialled, or those of its certificate; nil for any.
    public init(
        as role: SchemaNegotiation.Role, _ hello: Hello, offering offer: SchemaOffer,
        expecting names: Set<String>? = nil
    ) {
        self.role = role
        own = hello
        expectedNames = names
        negotiation = SchemaNegotiation(as: role, offering: offer)
    }

    /// What is sent first.
    public var firstMessage: MigrationMessage { .hello(own) }

    /// Takes an event.
    ///
    /// - Returns: What is sent, in order.
    public mutating func handle(_ event: Event) -> [MigrationMessage] {
        switch (state, event) {
        case (.refused, _), (.agreed, .timedOut): return []
        case (.greeting, .timedOut), (.negotiating, .timedOut):
            return refuse(
                MigrationProblem(.timedOut, "the handshake took longer than \(Self.timeLimit)"))
        case (_, .received(.refusal(let problem))):
            state = .refused(problem)
            return []
        case (_, .received(.ping(let number))): return [.pong(number)]
        case (_, .received(.pong)): return []
        case (.greeting, .received(.hello(let hello))): return greet(hello)
        case (.negotiating, .received(.schemas(let message))): return negotiate(message)
        case (.greeting, .received(let message)), (.negotiating, .received(let message)),
            (.agreed, .received(let message)):
            return refuse(
                MigrationProblem(.malformed, "\(message.name) does not come in a handshake now"))
        }
    }

    private mutating func refuse(_ problem: MigrationProblem) -> [MigrationMessage] {
        state = .refused(problem)
        return [.refusal(problem)]
    }

    private mutating func greet(_ hello: Hello) -> [MigrationMessage] {
        let version = min(hello.versions.upperBound, own.versions.upperBound)
        guard hello.versions.contains(version), own.versions.contains(version) else {
            return refuse(
                MigrationProblem(
                    .unsupported,
                    "node \(own.node) speaks versions \(own.versions) of the protocol, and \(hello.node) \(hello.versions)"
                ))
        }
        if let problem = mismatch(hello) { return refuse(problem) }
        peer = (hello, version)
        state = .negotiating
        return [.schemas(negotiation.offer)]
    }

    /// What of a hello does not go with this side's.
    private func mismatch(_ hello: Hello) -> MigrationProblem? {
        let (source, target) = role == .source ? (own, hello) : (hello, own)
        if hello.node == own.node {
            return MigrationProblem(
                .mismatch, "both nodes are called \(own.node); each needs a name of its own")
        }
        if let expectedNames, !expectedNames.contains(hello.node) {
            let names = expectedNames.sorted().joined(separator: ", ")
            return MigrationProblem(
                .mismatch, "the peer is called \(hello.node), and was to be \(names)")
        }
        if source.moveBits != target.moveBits {
            return MigrationProblem(
                .mismatch,
                "node \(source.node) has 2^\(source.moveBits) partitions that move, and \(target.node) 2^\(target.moveBits); "
                    + "configure both with one number")
        }
        if hello.window == 0 || hello.bodyLimit < FrameHeader.chunkLimit {
            return MigrationProblem(
                .mismatch,
                "node \(hello.node) takes \(hello.window) bytes at once, of at most \(hello.bodyLimit) in a message: too few for chunks"
            )
        }
        if !hasSameHashKey(hello), !target.takesHashKey {
            return MigrationProblem(
                .mismatch,
                "node \(target.node) has rows under another hash key than \(source.node); configure all nodes with one"
            )
        }
        return nil
    }

    private func hasSameHashKey(_ hello: Hello) -> Bool {
        (hello.hashKey0, hello.hashKey1) == (own.hashKey0, own.hashKey1)
    }

    private mutating func negotiate(_ message: SchemaMessage) -> [MigrationMessage] {
        let answer: SchemaMessage?
        do throws(FormatError) {
            answer = try negotiation.receive(message)
        } catch {
            return refuse(MigrationProblem(.malformed, error.message))
        }
        switch negotiation.state {
        case .offering, .deciding: break
        case .agreed(let schemas): agree(schemas)
        case .refused(let refusal):
            state = .refused(MigrationProblem(.mismatch, refusal.description))
        }
        return answer.map { [.schemas($0)] } ?? []
    }

    private mutating func agree(_ schemas: SchemaAgreement) {
        guard let (hello, version) = peer else {
            preconditionFailure("schemas are settled after both have greeted")
        }
        let takesOver = role == .target && !hasSameHashKey(hello)
        state = .agreed(
            Agreement(
                peer: hello, version: version, schemas: schemas,
                hashKey: takesOver ? HashKey(k0: hello.hashKey0, k1: hello.hashKey1) : nil))
    }
}
