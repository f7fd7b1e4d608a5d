import Foundation

/// The commit of the sources that this program was built from.
///
/// It is read from the repository that the sources lie in, when the program runs: who checks out another one builds first.
enum SourceCommit {
    /// The first twelve hexadecimal digits; nil where the sources are no longer there, or in no repository.
    static func current(of source: String = #filePath) -> String? {
        var folder = URL(filePath: source)
        repeat {
            folder.deleteLastPathComponent()
            if let commit = head(of: folder) { return String(commit.prefix(12)) }
        } while folder.path.count > 1
        return nil
    }

    private static func head(of folder: URL) -> Substring? {
        var git = folder.appending(path: ".git")
        // In a work tree of its own it is a file, which names the folder.
        if let link = line(of: git), link.hasPrefix("gitdir: ") {
            git = folder.at(link.dropFirst(8))
        }
        guard let head = line(of: git.appending(path: "HEAD")) else { return nil }
        guard head.hasPrefix("ref: ") else { return head }
        let name = head.dropFirst(5)
        let common = line(of: git.appending(path: "commondir")).map { git.at($0) } ?? git
        if let commit = line(of: common.appending(path: String(name))) { return commit }
        let packed = try? String(contentsOf: common.appending(path: "packed-refs"), encoding: .utf8)
        return packed?.split(separator: "\n").first { $0.hasSuffix(" " + name) }?.prefix {
            $0 != " "
        }
    }

    private static func line(of file: URL) -> Substring? {
        (try? String(contentsOf: file, encoding: .utf8))?.split(separator: "\n").first
    }
}

extension URL {
    /// What a path means in this folder.
    fileprivate func at(_ path: Substring) -> URL {
        path.hasPrefix("/") ? URL(filePath: String(path)) : appending(path: String(path))
    }
}
