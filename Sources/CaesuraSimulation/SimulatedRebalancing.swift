import CaesuraMigration

/// A plan that an operator carries out in a simulated world.
struct SimulatedRebalancing {
    let plan: RebalancingPlan
    var schedule: MoveSchedule
    /// What the blackout of each move may take.
    let budget: Duration
}
