public import CaesuraFormat

/// One side's part in settling schemas before state moves: `docs/SCHEMAS.md`, "Negotiation".
///
///     offering ── offer ──► deciding ── acceptance, the same ──► agreed
///                              └─────── a refusal of either ───► refused
///
/// A machine without I/O: it is given messages and gives messages. What either side sends is its ``offer`` first, and
/// then what ``receive(_:)`` returns.
public struct SchemaNegotiation: Sendable {
    /// Which side it is.
    public enum Role: Sendable {
        /// The side whose state moves.
        case source
        /// The side that takes it.
        case target
    }

    /// How far it is.
    @nonexhaustive
    public enum State: Hashable, Sendable {
        /// The other side's offer has not come.
        case offering
        /// Both offers are known, and the other side's verdict is not.
        case deciding
        /// Both sides know what travels.
        case agreed(SchemaAgreement)
        /// Nothing moves.
        case refused(SchemaRefusal)
    }

    /// How far it is.
    public private(set) var state = State.offering

    private let role: Role
    private let own: SchemaOffer
    /// What this side thinks; nil until the other side's offer has come.
    private var verdict: Result<SchemaAgreement, SchemaConflicts>?

    /// Creates the machine of a side.
    public init(as role: Role, offering own: SchemaOffer) {
        self.role = role
        self.own = own
    }

    /// What is sent first.
    public var offer: SchemaMessage { .offer(own) }

    /// Takes a message of the other side.
    ///
    /// - Returns: What is sent then; nil for nothing.
    /// - Throws: `malformed` when such a message does not come now; the machine is as it was.
    public mutating func receive(_ message: SchemaMessage) throws(FormatError) -> SchemaMessage? {
        switch (state, message) {
        case (.offering, .offer(let offer)):
            state = .deciding
            do throws(SchemaConflicts) {
                let agreement =
                    try role == .source
                    ? SchemaAgreement(source: own, target: offer)
                    : SchemaAgreement(source: offer, target: own)
                verdict = .success(agreement)
                return .acceptance(digest: agreement.digest)
            } catch {
                verdict = .failure(error)
                return .refusal(error.conflicts)
            }
        case (.deciding, .acceptance(let digest)):
            switch verdict {
            case .success(let agreement):
                state =
                    agreement.digest == digest ? .agreed(agreement) : .refused(.differentResults)
            case .failure(let error): state = .refused(.conflicts(error.conflicts))
            case nil: preconditionFailure("whoever decides has a verdict")
            }
            return nil
        case (.deciding, .refusal(let conflicts)):
            // Both have the same reasons, if the other side did not leave some out.
            if case .failure(let error) = verdict {
                state = .refused(.conflicts(error.conflicts))
            } else {
                state = .refused(.conflicts(conflicts))
            }
            return nil
        default:
            throw FormatError(
                .malformed, "\(message.name) about schemas does not come now", at: 0)
        }
    }
}
