public import CaesuraRepository
public import ServiceLifecycle

/// Continuous checkpoints as a service of a `ServiceGroup`.
///
///     let checkpoints = repository.checkpoints(of: store, every: .milliseconds(100))
///     let group = ServiceGroup(
///         services: [CheckpointService(checkpoints), server], logger: logger)
///     try await group.run()
///
/// A group shuts its services down from the last to the first: name this one before those that write to the store, and
/// its last checkpoint has all that they wrote.
public struct CheckpointService: Service {
    /// The checkpoints, for ``ContinuousCheckpoints/durable()``.
    public let checkpoints: ContinuousCheckpoints

    /// Makes a service of checkpoints that are not running yet.
    public init(_ checkpoints: ContinuousCheckpoints) { self.checkpoints = checkpoints }

    /// Takes checkpoints until the group shuts down, and a last one then.
    ///
    /// - Throws: As ``ContinuousCheckpoints/run()``.
    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await checkpoints.run() }
    }
}
