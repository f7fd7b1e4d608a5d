import Foundation

/// The benchmarks of docs/BENCHMARKS.md: one subcommand an experiment, `all` for the table.
@main
enum CaesuraBench {
    static func main() async {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            let options = try Options(arguments.dropFirst())
            switch arguments.first {
            case "table": try TableBenchmark.run(options)
            case "encode": try EncodeBenchmark.run(options)
            case "pause": try PauseBenchmark.run(options)
            case "move": try MoveBenchmark.run(options)
            case "transport": try await TransportBenchmark.run(options)
            case "migrate": try await MigrateBenchmark.run(options)
            case "migrate-cut": try await CutBenchmark.run(options)
            case "stop-copy-start": try StopBenchmark.run(options)
            case "redis-migrate": try RedisMigration.run(options)
            case "versions": try VersionsBenchmark.run(options)
            case "delta": try DeltaBenchmark.run(options)
            case "continuous": try await ContinuousBenchmark.run(options)
            case "durable": try await DurableBenchmark.run(options)
            case "chain": try await ChainBenchmark.run(options)
            case "latency": try LatencyBenchmark.run(options)
            case "redis": try RedisPeer.run(options)
            case "all": try Report.run(options)
            default:
                throw Failure(
                    "usage: caesura-bench all | table | encode | move | transport | migrate | migrate-cut "
                        + "| stop-copy-start | versions | delta | continuous | durable | chain | pause "
                        + "| latency | redis | redis-migrate")
            }
        } catch {
            FileHandle.standardError.write(Data("caesura-bench: error: \(error)\n".utf8))
            exit(1)
        }
    }
}
