import Testing

@testable import CaesuraRepository

/// What every storage must do, whatever it is made of.
@Suite struct StorageContractTests {
    enum Kind: CaseIterable {
        case directory
        case memory
    }

    private let directory = TemporaryDirectory()

    private func storage(_ kind: Kind) throws -> any Storage {
        switch kind {
        case .directory: try DirectoryStorage(directory.path)
        case .memory: MemoryStorage()
        }
    }

    private func write(_ text: String, to path: String, in storage: any Storage) throws {
        let file = try storage.create(path)
        defer { file.close() }
        let bytes = Array(text.utf8)
        try unsafe file.append(bytes.span.bytes)
        try file.sync()
    }

    private func text(_ path: String, in storage: any Storage) throws -> String {
        String(decoding: try storage.contents(of: path, upTo: 1 << 20), as: UTF8.self)
    }

    @Test(arguments: Kind.allCases)
    func `a file reads back what was appended to it`(_ kind: Kind) throws {
        let storage = try storage(kind)
        let file = try storage.create("a")
        for piece in ["one ", "", "two ", "three"] {
            let bytes = Array(piece.utf8)
            try unsafe file.append(bytes.span.bytes)
        }
        try file.sync()
        file.close()
        #expect(try text("a", in: storage) == "one two three")
        let reader = try storage.open("a")
        #expect(reader.size == 13)
        var middle: [UInt8] = [0, 0, 0]
        var span = middle.mutableSpan
        var bytes = unsafe span.mutableBytes
        try reader.read(at: 4, into: &bytes)
        #expect(middle == Array("two".utf8))
    }

    @Test(arguments: Kind.allCases)
    func `reading beyond the end is damage`(_ kind: Kind) throws {
        let storage = try storage(kind)
        try write("short", to: "a", in: storage)
        let reader = try storage.open("a")
        #expect(throws: RepositoryError(.damaged, "")) {
            var bytes: [UInt8] = [0, 0, 0]
            var span = bytes.mutableSpan
            var raw = unsafe span.mutableBytes
            try reader.read(at: 3, into: &raw)
        }
        #expect(throws: RepositoryError(.damaged, "")) { try storage.contents(of: "a", upTo: 4) }
    }

    @Test(arguments: Kind.allCases)
    func `a name is never taken twice, by create or by link`(_ kind: Kind) throws {
        let storage = try storage(kind)
        try write("first", to: "a", in: storage)
        try write("second", to: "b", in: storage)
        #expect(throws: RepositoryError(.exists, "")) { _ = try storage.create("a") }
        #expect(throws: RepositoryError(.exists, "")) { try storage.link("b", as: "a") }
        #expect(try text("a", in: storage) == "first")
    }

    @Test(arguments: Kind.allCases)
    func `a link outlives the name it was made from`(_ kind: Kind) throws {
        let storage = try storage(kind)
        try storage.makeDirectory("d")
        try storage.makeDirectory("d")
        try write("content", to: "d/a", in: storage)
        try storage.link("d/a", as: "d/b")
        try storage.syncDirectory("d")
        try storage.remove("d/a")
        #expect(try storage.list("d") == ["b"])
        #expect(try storage.list("") == ["d"])
        #expect(try text("d/b", in: storage) == "content")
        #expect(throws: RepositoryError(.notFound, "")) { try storage.remove("d/a") }
        #expect(throws: RepositoryError(.notFound, "")) { _ = try storage.open("d/a") }
        #expect(throws: RepositoryError(.notFound, "")) { _ = try storage.list("e") }
        #expect(throws: RepositoryError(.notFound, "")) { try storage.link("d/a", as: "d/c") }
    }

    @Test(arguments: Kind.allCases)
    func `a lock keeps a second one out until it is released`(_ kind: Kind) throws {
        let storage = try storage(kind)
        let first = try storage.lock("lock")
        #expect(throws: RepositoryError(.locked, "")) { _ = try storage.lock("lock") }
        #expect(throws: RepositoryError(.locked, "")) { _ = try storage.lock("lock") }
        first.release()
        first.release()
        let second = try storage.lock("lock")
        second.release()
    }

    @Test(arguments: Kind.allCases)
    func `a lock that goes out of use is released`(_ kind: Kind) throws {
        let storage = try storage(kind)
        do { _ = try storage.lock("lock") }
        let second = try storage.lock("lock")
        second.release()
    }
}
