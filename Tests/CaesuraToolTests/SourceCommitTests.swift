import Foundation
import Testing

@testable import CaesuraTool

private let wholeCommit = "0123456789abcdef0123456789abcdef01234567"

/// What repositories may have.
private let repositories = [
    [".git/HEAD": "\(wholeCommit)\n"],
    [".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "\(wholeCommit)\n"],
    [
        ".git/HEAD": "ref: refs/heads/main\n",
        ".git/packed-refs": "# pack-refs\nff00 refs/heads/xmain\n\(wholeCommit) refs/heads/main\n",
    ],
]

/// The commit that a failure of the simulator names, as repositories keep it.
struct SourceCommitTests {
    private static let short = "0123456789ab"

    private func commit(_ files: [String: String], from source: String) throws -> String? {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "caesura-commit-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        for (path, text) in files {
            let file = directory.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        return SourceCommit.current(of: directory.appending(path: source).path)
    }

    @Test(arguments: repositories)
    func `it is what is checked out above the sources`(_ files: [String: String]) throws {
        #expect(try commit(files, from: "Sources/Tool/File.swift") == Self.short)
        #expect(try commit(files, from: "File.swift") == Self.short)
    }

    @Test func `a work tree of its own names its repository`() throws {
        let files = [
            "tree/.git": "gitdir: ../main/.git/worktrees/tree\n",
            "main/.git/worktrees/tree/HEAD": "ref: refs/heads/work\n",
            "main/.git/worktrees/tree/commondir": "../..\n",
            "main/.git/refs/heads/work": "\(wholeCommit)\n",
        ]
        #expect(try commit(files, from: "tree/Sources/File.swift") == Self.short)
    }

    @Test func `without a repository there is none`() throws {
        #expect(try commit([:], from: "Sources/File.swift") == nil)
        #expect(try commit([".git/HEAD": "ref: refs/heads/none\n"], from: "File.swift") == nil)
    }
}
