import NIOCore

/// Whether the peer of a connection is still there, and gets on with what it sends.
///
/// Time during which this side does not read is not held against the peer.
struct Liveness {
    private let silence: TimeAmount
    private let frameTime: TimeAmount
    private var lastHeard: NIODeadline
    /// When the frame that is not whole began.
    private var frameBegan: NIODeadline?
    private var isPaused = false

    init(_ limits: TransportLimits, at now: NIODeadline) {
        silence = TimeAmount(limits.silence)
        frameTime = TimeAmount(limits.frameTime)
        lastHeard = now
    }

    /// Bytes came.
    mutating func heard(at now: NIODeadline) { lastHeard = now }

    /// What the bytes were that came.
    ///
    /// - Parameters:
    ///   - ends: Whether a frame ended among them.
    ///   - begins: Whether one is not whole behind them.
    mutating func framed(at now: NIODeadline, ends: Bool, begins: Bool) {
        if !begins {
            frameBegan = nil
        } else if ends || frameBegan == nil {
            frameBegan = now
        }
    }

    /// This side stops reading.
    mutating func pause() { isPaused = true }

    /// It reads again.
    mutating func resume(at now: NIODeadline) {
        guard isPaused else { return }
        isPaused = false
        lastHeard = now
        if frameBegan != nil { frameBegan = now }
    }

    /// What takes the peer too long, if anything does.
    func problem(at now: NIODeadline) -> String? {
        if isPaused { return nil }
        if now - lastHeard >= silence { return "sent nothing for \(seconds(silence))" }
        if let frameBegan, now - frameBegan >= frameTime {
            return "has not ended in \(seconds(frameTime)) the message that it began"
        }
        return nil
    }

    private func seconds(_ time: TimeAmount) -> String {
        "\(Double(time.nanoseconds) / 1e9) s"
    }
}
