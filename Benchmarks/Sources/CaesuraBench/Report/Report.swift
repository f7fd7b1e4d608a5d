import Foundation

/// `all`: runs the plan and prints one table.
enum Report {
    static func run(_ options: Options) throws {
        let peers = options.flag("peers")
        let folder = URL(filePath: try options.string("peer-folder", default: ".build/peers"))
        let plan = Plan(quick: options.flag("quick"), peers: peers)
        let only = try options.string("only", default: "")
        var table = ResultTable()
        let started = now()
        for experiment in plan.experiments where only.isEmpty || experiment.name.contains(only) {
            for repetition in 1...experiment.repetitions {
                for run in experiment.runs {
                    note("[\(seconds(started))] \(experiment.name), \(repetition): \(run.text)")
                    for line in try lines(of: run, peers: folder) {
                        if let result = Result(line: line) {
                            table.add(result, command: run.text)
                        } else if line.hasPrefix("digest\t") {
                            try table.check(digest: line)
                        } else if line.hasPrefix("note\t") {
                            note(String(line.dropFirst(5)))
                        }
                    }
                }
            }
        }
        print(Machine.description)
        print(table.markdown)
        fflush(nil)
        note("all of it took \(seconds(started))")
    }

    private static func lines(of run: Experiment.Run, peers: URL) throws -> [Substring] {
        let process = Process()
        process.executableURL =
            switch run.program {
            case .bench: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            case .protobuf: peers.appending(path: run.program.rawValue)
            }
        process.arguments = run.arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure("`\(run.text)` ended with \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
    }

    private static func seconds(_ start: UInt64) -> String {
        "\((now() - start) / 1_000_000_000) s"
    }

    private static func note(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

/// The machine, in one line.
enum Machine {
    static var description: String {
        func field(_ name: String, _ path: String) -> String {
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            for line in text.split(separator: "\n") where line.hasPrefix(name) {
                return line.drop { $0 != ":" }.dropFirst()
                    .trimmingCharacters(in: .whitespaces)
            }
            return "unknown"
        }
        let processor = field("model name", "/proc/cpuinfo")
        let memory = Double(field("MemTotal", "/proc/meminfo").split(separator: " ")[0]) ?? 0
        let kernel =
            (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
        let load = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
        return "\(processor), \(ProcessInfo.processInfo.activeProcessorCount) cores, "
            + "\(Int(memory / 1024 / 1024)) GB, Linux "
            + kernel.trimmingCharacters(in: .whitespacesAndNewlines)
            + ", load \(load.split(separator: " ").prefix(2).joined(separator: " "))"
    }
}
