import ArgumentParser
import CaesuraSimulation

/// Two processes that move partitions to each other while clients count, one of which is killed or stopped at a chosen step
/// of the protocol: `docs/FAULTS.md`, "Processes".
///
///     TestNode trial --step finishing --fault kill        the whole of it, once; `--rounds` for more; `--postcopy` has
///                                                         partitions handed over before all of their rows have gone
///     TestNode full-disk --victim target                  the same with a full disk
///     TestNode hosts                                      the same with a network between that loses and delays
///     TestNode node a DIRECTORY --create                  one process of it, as the trial starts it
@main
struct TestNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [
        RunTrials.self, RunDiskTrials.self, RunHostTrial.self, RunNode.self,
    ])
}

struct RunTrials: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "trial")

    @Option(transform: Aim.step) var step: Trial.Step
    @Option var fault: Aim.Fault
    @Flag var postcopy = false
    @Option var rounds = 1

    func run() throws {
        for round in 1...rounds {
            let trial = try Trial(step, fault, isPostcopy: postcopy)
            let outcome = try trial.run()
            print("\(step) \(fault)\(postcopy ? " postcopy" : "") \(round): \(outcome)")
        }
    }
}

struct RunDiskTrials: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "full-disk")

    @Option var victim = DiskTrial.Victim.nobody
    @Option var rounds = 1

    func run() throws {
        for round in 1...rounds {
            let trial = try Apart.reporting { try DiskTrial(victim) }
            print("full disk, killed: \(victim), \(round): \(try trial.run())")
        }
    }
}

struct RunHostTrial: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hosts")

    @Option var seed = UInt64.random(in: 0 ... .max)

    func run() throws {
        let trial = try Apart.reporting { try HostTrial(seed: seed) }
        print("hosts, seed \(seed): \(try trial.run())")
    }
}

struct RunNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node")

    @Argument var name: String
    @Argument var directory: String
    @Flag var create = false
    @Option var host = "127.0.0.1"
    @Option var ballast: UInt64 = 0
    @Flag var postcopy = false
    @Option(transform: Aim.step) var step: ProtocolStep?
    @Option var fault: Aim.Fault = .kill

    func run() async throws {
        let options = CountingNode.Options(
            host: host, createsPartitions: create, isPostcopy: postcopy, ballast: ballast,
            aim: step.map { Aim($0, fault) })
        try await CountingNode(name, directory, options).run()
    }
}
