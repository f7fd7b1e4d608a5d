import Glibc
import Testing

@testable import CaesuraRepository

/// Locks between processes: the other process is `flock(1)`, or a child that is killed.
@Suite struct LockTests {
    private let directory = TemporaryDirectory()

    /// A child process that runs a shell script and speaks through a pipe.
    private final class Child {
        let process: pid_t
        private let output: Int32

        init(_ script: String) throws {
            var ends: [Int32] = [-1, -1]
            try #require(unsafe pipe(&ends) == 0)
            var actions = unsafe posix_spawn_file_actions_t()
            unsafe posix_spawn_file_actions_init(&actions)
            defer { unsafe posix_spawn_file_actions_destroy(&actions) }
            unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
            unsafe posix_spawn_file_actions_addclose(&actions, ends[0])
            let words = ["sh", "-c", script]
            var arguments: [UnsafeMutablePointer<CChar>?] = unsafe []
            for word in words { unsafe arguments.append(strdup(word)) }
            unsafe arguments.append(nil)
            defer { for index in words.indices { unsafe free(arguments[index]) } }
            var child: pid_t = 0
            let result = unsafe posix_spawn(&child, "/bin/sh", &actions, nil, arguments, environ)
            close(ends[1])
            try #require(result == 0)
            process = child
            output = ends[0]
        }

        /// Waits for the next byte of output.
        func hear() -> UInt8? {
            var byte: UInt8 = 0
            return unsafe read(output, &byte, 1) == 1 ? byte : nil
        }

        func killAndReap() {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }

        deinit { close(output) }
    }

    @Test func `a second writer is told which process, where and since when has the repository`()
        throws
    {
        let path = directory.path + "/state"
        let first = try Repository(location: .directory(path), access: .write)
        let error = #expect(throws: RepositoryError(.locked, "")) {
            try Repository(location: .directory(path), access: .write)
        }
        var host = [CChar](repeating: 0, count: 256)
        unsafe gethostname(&host, 255)
        let name = String(decoding: host.prefix { $0 != 0 }.map { UInt8($0) }, as: UTF8.self)
        let message = error?.message ?? ""
        let opening = "another writer has this repository: pid \(getpid()) host \(name) since 20"
        #expect(message.hasPrefix(opening), "\(message)")
        #expect(error?.hint?.contains("stop that process") == true)
        #expect(error?.path == first.storage.display("lock"))
        // Readers are not in anyone's way, and the refused writer has not spoilt the holder's name.
        _ = try Repository(location: .directory(path), access: .read)
        first.close()
        let second = try Repository(location: .directory(path), access: .write)
        second.close()
    }

    @Test func `a lock held by another process is respected, and ends with a kill`() throws {
        let path = directory.path + "/state"
        try Repository(location: .directory(path), access: .write).close()
        // `exec`: the process that holds the lock is the one that is killed.
        let holder = try Child("exec 9<>'\(path)/lock'; flock -n 9 && echo + && exec sleep 600")
        #expect(holder.hear() == UInt8(ascii: "+"))
        let error = #expect(throws: RepositoryError(.locked, "")) {
            try Repository(location: .directory(path), access: .write)
        }
        #expect(error?.message.hasSuffix("a process that has not said its name") == true)
        holder.killAndReap()
        try Repository(location: .directory(path), access: .write).close()
    }

    @Test func `another process cannot take the lock that a repository holds`() throws {
        let path = directory.path + "/state"
        let repository = try Repository(location: .directory(path), access: .write)
        let refused = try Child("flock -n '\(path)/lock' true && echo + || echo -")
        #expect(refused.hear() == UInt8(ascii: "-"))
        refused.killAndReap()
        repository.close()
        let granted = try Child("flock -n '\(path)/lock' true && echo + || echo -")
        #expect(granted.hear() == UInt8(ascii: "+"))
        granted.killAndReap()
    }

    @Test func `closing during a checkpoint keeps the lock until the checkpoint has ended`() throws
    {
        let path = directory.path + "/state"
        let first = try Repository(location: .directory(path), access: .write)
        try first.claim()
        first.close()
        #expect(throws: RepositoryError(.locked, "")) {
            try Repository(location: .directory(path), access: .write)
        }
        first.endCheckpoint()
        #expect(throws: RepositoryError(.storage, "")) { try first.claim() }
        try Repository(location: .directory(path), access: .write).close()
    }
}
