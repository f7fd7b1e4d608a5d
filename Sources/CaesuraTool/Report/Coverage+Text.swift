import CaesuraSimulation

extension Coverage {
    /// What a person reads: a line for each step, a column for each effect, "–" where they cannot meet.
    var text: String {
        var table = TextTable(["step"] + FaultEffect.allCases.map(\.heading))
        for step in ProtocolStep.allCases {
            table.append(
                [step.rawValue]
                    + FaultEffect.allCases.map { effect in
                        step.canMeet(effect) ? self[step, effect].grouped : "–"
                    })
        }
        return table.text
    }

    /// What scripts read: by step and by effect; without those that cannot meet.
    var counts: [String: [String: Int]] {
        var counts: [String: [String: Int]] = [:]
        for step in ProtocolStep.allCases {
            for effect in FaultEffect.allCases where step.canMeet(effect) {
                counts[step.rawValue, default: [:]][effect.rawValue] = self[step, effect]
            }
        }
        return counts
    }
}

extension FaultEffect {
    /// Short enough for a screen: S is the source, T the target.
    fileprivate var heading: String {
        switch self {
        case .sourceStops: "S stops"
        case .targetStops: "T stops"
        case .bothStop: "both"
        case .sourcePauses: "S pauses"
        case .targetPauses: "T pauses"
        case .disconnect: "lost"
        case .partition: "cut"
        case .delay: "slow"
        case .duplicate: "twice"
        case .bitFlip: "flip"
        case .registerOutage: "register"
        case .unknownAppend: "unknown"
        case .diskFull: "disk"
        case .clockJump: "clock"
        case .stop: "stopped"
        }
    }
}
