package import CaesuraMigration

/// Where a node stands in the protocol, for who looks at it from outside: the simulator counts what faults hit.
extension Node {
    /// What is not known yet of a partition, or not there.
    package enum Standing: Hashable {
        /// The register is being read.
        case reading
        /// An entry of this process's start is being appended.
        case appending
        /// It is this node's, and its rows are not here.
        case missing
    }

    /// The moves out of here, by their numbers.
    package var movesOut: [(number: UInt64, link: Link?, machine: SourceMove)] {
        outgoing.keys.sorted().compactMap { number in
            outgoing[number].map { (number, $0.link, $0.move.machine) }
        }
    }

    /// The moves into here, by their partitions, with the numbers that their sources have given them.
    package var movesIn: [(number: UInt64, link: Link, machine: TargetMove)] {
        incoming.keys.sorted().compactMap { partition in
            incoming[partition].map { ($0.number, $0.link, $0.move.machine) }
        }
    }

    /// Requests to move for which the register is being read.
    package var requestsToMove: [(number: UInt64, link: Link, partition: PartitionNumber)] {
        sessions.keys.sorted().flatMap { link in
            let requests = sessions[link]?.requests ?? [:]
            return requests.keys.sorted().compactMap { partition in
                requests[partition].map { ($0.number, link, partition) }
            }
        }
    }

    /// Connections on which nothing is agreed yet.
    package var handshakes: [(link: Link, isNegotiating: Bool)] {
        sessions.keys.sorted().compactMap { link in
            switch sessions[link]?.handshake.state {
            case .greeting: (link, false)
            case .negotiating: (link, true)
            case .agreed, .refused, nil: nil
            }
        }
    }

    /// The partitions of which it is not known whose they are, or whose rows are lost.
    package var unsettled: [(partition: PartitionNumber, standing: Standing)] {
        division.partitions.compactMap { partition in
            switch holdings[partition] {
            case .unknown: (partition, .reading)
            case .appending: (partition, .appending)
            case .missing: (partition, .missing)
            case .serving, .lettingGo, .absent, nil: nil
            }
        }
    }
}
