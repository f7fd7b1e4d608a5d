import CaesuraRepository
import Foundation
import TestCertificates
import Testing
import X509

@testable import CaesuraTool

/// Nodes as processes, and orders to them.
@Suite(.timeLimit(.minutes(60)))
struct NodeCommandTests {
    /// Starts a node in a directory, and returns when it listens.
    private func start(
        _ name: String, in directory: String, _ more: [String] = ["--insecure"]
    ) throws -> CaesuraProgram.Started {
        let node = try CaesuraProgram.start(
            [
                "node", "--name", name, "--listen", "127.0.0.1:0", "--repository",
                "\(directory)/\(name)", "--owners", "\(directory)/owners", "--partitions", "4",
            ] + more)
        while node.outputSoFar.isEmpty, node.process.isRunning { usleep(1_000) }
        return node
    }

    private func stop(_ node: CaesuraProgram.Started) -> CaesuraProgram.Run {
        node.process.terminate()
        return node.finish()
    }

    private func partitions(of name: String, in directory: String) throws -> [[String: Any]] {
        try overview(of: name, in: directory, "partitions")
    }

    /// What a node says of its partitions, or of its moves.
    private func overview(
        of name: String, in directory: String, _ key: String
    ) throws -> [[String: Any]] {
        let run = try CaesuraProgram.run([
            "partitions", "--node", name, "--owners", "\(directory)/owners", "--insecure",
            "--json",
        ])
        #expect(run.exitCode == 0, "\(run.errors)")
        let overview = try #require(run.json as? [String: Any])
        return try #require(overview[key] as? [[String: Any]])
    }

    private func holdings(of name: String, in directory: String) throws -> Set<String> {
        Set(try partitions(of: name, in: directory).compactMap { $0["holding"] as? String })
    }

    /// Returns when a node serves all partitions.
    private func awaitAll(of name: String, in directory: String) throws {
        while try holdings(of: name, in: directory) != ["served"] { usleep(10_000) }
    }

    @Test func `partitions move between two processes, and survive the end of both`() throws {
        try CaesuraProgram.withDirectory { directory in
            let demo = try CaesuraProgram.run([
                "demo", "--directory", "\(directory)/demo", "--rows", "2000", "--json",
            ])
            try demo.requireSuccess()
            try expectMove(in: demo, "\(directory)/demo/report.html")
            try FileManager.default.moveItem(
                atPath: "\(directory)/demo/state", toPath: "\(directory)/a")
            let before = try export("\(directory)/a")
            var (a, b) = try (
                start("a", in: directory, ["--insecure", "--create"]), start("b", in: directory)
            )
            try awaitAll(of: "a", in: directory)
            let run = try CaesuraProgram.run([
                "migrate", "--from", "a", "--to", "b", "--owners", "\(directory)/owners",
                "--insecure", "--budget", "10s", "--json",
            ])
            #expect(run.exitCode == 0, "\(run.errors)")
            let report = try #require(run.json as? [String: Any])
            let moves = try #require(report["moves"] as? [[String: Any]])
            #expect(moves.count == 5)
            #expect(moves.allSatisfy { $0["outcome"] as? String == "moved" })
            #expect(moves.allSatisfy { $0["blackout"] as? Int ?? 0 > 0 })
            #expect(try holdings(of: "a", in: directory) == ["elsewhere"])
            #expect(try holdings(of: "b", in: directory) == ["served"])
            for node in [a, b] { #expect(stop(node).exitCode == 0) }
            // They go on from what is on disk.
            (a, b) = try (start("a", in: directory), start("b", in: directory))
            try awaitAll(of: "b", in: directory)
            #expect(try holdings(of: "a", in: directory) == ["elsewhere"])
            for node in [a, b] { #expect(stop(node).exitCode == 0) }
            #expect(try export("\(directory)/b") == before)
            #expect(try export("\(directory)/a") == [])
        }
    }

    @Test func `an order that is interrupted stops its moves, and the same one goes on`() throws {
        try CaesuraProgram.withDirectory { directory in
            try CaesuraProgram.run(["demo", "--directory", "\(directory)/demo", "--rows", "60000"])
                .requireSuccess()
            try FileManager.default.moveItem(
                atPath: "\(directory)/demo/state", toPath: "\(directory)/a")
            let before = try export("\(directory)/a")
            let (a, b) = try (
                start("a", in: directory, ["--insecure", "--create", "--bandwidth", "1"]),
                start("b", in: directory)
            )
            try awaitAll(of: "a", in: directory)
            let order = [
                "migrate", "--from", "a", "--to", "b", "--owners", "\(directory)/owners",
                "--insecure", "--budget", "10s", "--json",
            ]
            let first = try CaesuraProgram.start(order)
            while try overview(of: "a", in: directory, "moves").isEmpty {
                try #require(first.process.isRunning, "it was too fast to be interrupted")
            }
            first.process.interrupt()
            let stopped = first.finish()
            #expect(stopped.exitCode == 130, "\(stopped.errors)")
            let stayed = try moves(of: stopped).filter { $0["outcome"] as? String != "moved" }
            #expect(!stayed.isEmpty)
            for move in stayed { #expect(move["problem"] as? String != nil) }
            #expect(try holdings(of: "a", in: directory).contains("served"))
            #expect(try overview(of: "a", in: directory, "moves").isEmpty)

            let began = ContinuousClock.now
            let again = try CaesuraProgram.run(order + ["--policy", "postcopy"])
            let time = ContinuousClock.now - began
            #expect(again.exitCode == 0, "\(again.errors)")
            let moved = try moves(of: again)
            #expect(moved.count >= stayed.count)
            #expect(moved.allSatisfy { $0["outcome"] as? String == "moved" })
            // No more leaves than a MB a second, and a tenth of that and a chunk at once.
            let sent = moved.reduce(0) { $0 + ($1["sentBytes"] as? Int ?? 0) }
            #expect(time >= .seconds(Double(sent - 100_000 - 262_144) / 1e6))
            #expect(try holdings(of: "a", in: directory) == ["elsewhere"])
            #expect(try holdings(of: "b", in: directory) == ["served"])
            for node in [a, b] { #expect(stop(node).exitCode == 0) }
            #expect(try export("\(directory)/b") == before)
        }
    }

    /// A demo ends with a move to another process, and shows it.
    private func expectMove(in demo: CaesuraProgram.Run, _ page: String) throws {
        let report = try JSONDecoder().decode(DemoReport.self, from: Data(demo.output.utf8))
        let migration = report.migration
        #expect(migration.partitions == migration.blackouts.count)
        #expect(migration.partitions > 1 && migration.byteCount > 0 && migration.forwarded > 0)
        #expect(migration.blackouts.allSatisfy { (1...migration.duration).contains($0) })
        #expect(migration.moving.start < migration.moving.end)
        let text = try String(contentsOfFile: page, encoding: .utf8)
        #expect(text.contains("The same sessions move to another process"))
    }

    private func moves(of run: CaesuraProgram.Run) throws -> [[String: Any]] {
        let report = try #require(run.json as? [String: Any])
        return try #require(report["moves"] as? [[String: Any]])
    }

    /// The rows of a repository's sessions, sorted.
    private func export(_ repository: String) throws -> [String] {
        let run = try CaesuraProgram.run([
            "export", repository, "--region", "sessions", "--format", "jsonl",
        ])
        #expect(run.exitCode == 0, "\(run.errors)")
        return run.output.split(separator: "\n").map(String.init).sorted()
    }

    @Test func `nodes with certificates take orders of an operator, and of nobody else`() throws {
        try CaesuraProgram.withDirectory { directory in
            let authority = try TestAuthority()
            try authority.root.write(
                toFile: "\(directory)/root.pem", atomically: true, encoding: .utf8)
            func papers(_ name: String) throws -> [String] {
                let paper = try authority.sign([.dnsName(name)])
                let path = "\(directory)/\(name)"
                try paper.certificate.write(
                    toFile: path + ".pem", atomically: true, encoding: .utf8)
                try paper.key.write(toFile: path + ".key", atomically: true, encoding: .utf8)
                return [
                    "--certificate", path + ".pem", "--key", path + ".key", "--trust",
                    "\(directory)/root.pem",
                ]
            }
            let a = try start("a", in: directory, papers("a") + ["--create"])
            let b = try start("b", in: directory, papers("b"))
            let order = [
                "migrate", "--from", "a", "--to", "b", "--owners", "\(directory)/owners",
                "--budget", "10s",
            ]
            let refused = try CaesuraProgram.run(order + papers("stranger"))
            #expect(refused.exitCode == 1)
            #expect(refused.errors.contains("stranger is no operator of node a"))
            let plain = try CaesuraProgram.run(order + ["--insecure"])
            #expect(plain.exitCode == 1)
            let done = try CaesuraProgram.run(order + papers("operator"))
            #expect(done.exitCode == 0, "\(done.errors)")
            #expect(done.output.contains("5 of 5 partitions moved to node b"), "\(done.output)")
            for node in [a, b] { #expect(stop(node).exitCode == 0) }
        }
    }

    @Test func `a node that ends gives its partitions to its successor`() throws {
        try CaesuraProgram.withDirectory { directory in
            let b = try start("b", in: directory)
            let a = try start(
                "a", in: directory, ["--insecure", "--create", "--successor", "b"])
            try awaitAll(of: "a", in: directory)
            let run = stop(a)
            #expect(run.exitCode == 0, "\(run.errors)")
            #expect(try holdings(of: "b", in: directory) == ["served"])
            #expect(stop(b).exitCode == 0)
        }
    }

    @Test func `partitions go where their shares are, from several nodes at once`() throws {
        try CaesuraProgram.withDirectory { directory in
            let a = try start("a", in: directory, ["--insecure", "--create"])
            let (b, c) = try (start("b", in: directory), start("c", in: directory))
            try awaitAll(of: "a", in: directory)
            func rebalance(_ options: [String]) throws -> CaesuraProgram.Run {
                try CaesuraProgram.run(
                    [
                        "rebalance", "--owners", "\(directory)/owners", "--insecure", "--budget",
                        "10s",
                    ] + options)
            }
            let plan = try rebalance(["--nodes", "a,b", "--plan"])
            #expect(plan.exitCode == 0, "\(plan.errors)")
            #expect(
                plan.output == """
                      node  partitions  then
                      a              5     3
                      b              0     2
                    2 of 5 partitions to move
                      partition  from  to
                      6             a   b
                      7             a   b

                    """)
            #expect(try holdings(of: "a", in: directory) == ["served"])
            let done = try rebalance(["--nodes", "a,b", "--json"])
            #expect(done.exitCode == 0, "\(done.errors)")
            #expect(try served(by: ["a", "b", "c"], in: directory) == [3, 2, 0])
            let report = try #require(done.json as? [String: Any])
            let moves = try #require(report["moves"] as? [[String: Any]])
            #expect(Set(moves.compactMap { $0["partition"] as? String }) == ["6", "7"])
            #expect(moves.allSatisfy { $0["outcome"] as? String == "moved" })
            let again = try rebalance(["--nodes", "a,b"])
            #expect(again.exitCode == 0 && again.output.hasSuffix("nothing is to move\n"))
            // Both sources are emptied.
            let loads = "\(directory)/loads"
            try "0 10\n4 1\n5 2\n6 3\n7 4\n".write(
                toFile: loads, atomically: true, encoding: .utf8)
            let emptied = try rebalance(["--nodes", "c", "--loads", loads, "--at-once", "3"])
            #expect(emptied.exitCode == 0, "\(emptied.errors)")
            #expect(emptied.output.contains("  c              0     5     0    20\n"))
            #expect(emptied.output.contains("5 of 5 partitions moved; writes of one stopped for "))
            #expect(try served(by: ["a", "b", "c"], in: directory) == [0, 0, 5])
            // A node that is gone is named, and its partitions stay with it.
            for node in [a, b, c] { #expect(stop(node).exitCode == 0) }
            let gone = try rebalance(["--nodes", "a,b", "--json"])
            #expect(gone.exitCode == 1)
            #expect(gone.errors.contains("caesura: error: 5 partitions have not moved\n"))
            let reasons = try #require(gone.json as? [String: Any])["moves"] as? [[String: Any]]
            #expect(reasons?.count == 5)
            #expect(reasons?.allSatisfy { $0["outcome"] as? String == "notBegun" } ?? false)
        }
    }

    /// How many partitions each node serves.
    private func served(by names: [String], in directory: String) throws -> [Int] {
        try names.map { name in
            try partitions(of: name, in: directory).count { $0["holding"] as? String == "served" }
        }
    }

    @Test func `a plan needs a register, nodes that there are, and a load of each partition`()
        throws
    {
        try CaesuraProgram.withDirectory { directory in
            func expect(_ error: String, _ options: [String]) throws {
                let run = try CaesuraProgram.run(
                    ["rebalance", "--owners", "\(directory)/owners", "--insecure"] + options)
                #expect(run.exitCode == 1 && run.output == "")
                #expect(run.errors.hasPrefix("caesura: error: \(error)\n"), "\(run.errors)")
            }
            try expect(
                "no node has ever run with the register in \(directory)/owners", ["--nodes", "a"])
            let a = try start("a", in: directory, ["--insecure", "--create"])
            try awaitAll(of: "a", in: directory)
            try expect(
                "no node b has ever run with the register in \(directory)/owners",
                ["--nodes", "a,b"])
            let loads = "\(directory)/loads"
            try expect(
                "cannot read \(loads): No such file or directory",
                ["--nodes", "a", "--loads", loads])
            for (text, error) in [
                ("4 x", ":1: this is no partition and load"),
                ("4 1\n\n4 -1", ":3: this is no partition and load"),
                ("4 1\n4 2", ":2: partition 4 is there twice"),
                ("0 1\n4 1\n5 1\n7 1", " has no load of partition 6"),
                ("0 1\n4 1\n5 1\n6 1\n7 1\n8 1", ": there is no partition 8"),
            ] {
                try text.write(toFile: loads, atomically: true, encoding: .utf8)
                try expect(loads + error, ["--nodes", "a", "--loads", loads])
            }
            #expect(stop(a).exitCode == 0)
        }
    }

    @Test(
        arguments: [
            ["rebalance", "--nodes", "a,b", "--owners", "o"],
            ["rebalance", "--nodes", "a,a", "--owners", "o", "--insecure"],
            ["rebalance", "--nodes", "a,", "--owners", "o", "--insecure"],
            ["rebalance", "--nodes", "a=0", "--owners", "o", "--insecure"],
            ["rebalance", "--nodes", "a=x", "--owners", "o", "--insecure"],
            ["rebalance", "--nodes", "a", "--owners", "o", "--insecure", "--at-once", "0"],
            ["rebalance", "--nodes", "a", "--owners", "o", "--insecure", "--tolerance", "5"],
            ["migrate", "--from", "a", "--to", "b", "--owners", "o"],
            ["migrate", "--from", "a", "--to", "a", "--owners", "o", "--insecure"],
            ["migrate", "--from", "a", "--to", "b", "--owners", "o", "--insecure", "--key", "k"],
            [
                "migrate", "--from", "a", "--to", "b", "--owners", "o", "--insecure",
                "--partitions", "10,x",
            ],
            [
                "migrate", "--from", "a", "--to", "b", "--owners", "o", "--insecure", "--budget",
                "1",
            ],
            [
                "node", "--name", "a", "--listen", "nowhere", "--repository", "r", "--owners", "o",
                "--insecure",
            ],
            [
                "node", "--name", "a", "--listen", "127.0.0.1:0", "--repository", "r", "--owners",
                "o", "--insecure", "--partitions", "3",
            ],
        ])
    func `a wrong command line is refused before anything is done`(arguments: [String]) throws {
        let run = try CaesuraProgram.run(arguments)
        #expect(run.exitCode == 64, "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: "o"))
    }

    @Test func `a node that never ran is named, and so is one that does not run`() throws {
        try CaesuraProgram.withDirectory { directory in
            let order = [
                "partitions", "--node", "a", "--owners", "\(directory)/owners", "--insecure",
            ]
            let never = try CaesuraProgram.run(order)
            #expect(never.exitCode == 1)
            #expect(never.errors.contains("no node a has ever run"))
            #expect(stop(try start("a", in: directory)).exitCode == 0)
            let gone = try CaesuraProgram.run(order)
            #expect(gone.exitCode == 1)
            #expect(gone.errors.contains("a at 127.0.0.1:"))
        }
    }
}
