import Caesura
import Glibc
import Testing

@testable import CaesuraRepository

@Suite struct RepositoryTests {
    private let directory = TemporaryDirectory()

    @Test func `a directory gets the files that the specification names`() throws {
        let path = directory.path + "/state"
        let repository = try Repository(location: .directory(path), access: .write)
        try SampleCheckpoint(epoch: 1).write(to: repository)
        try SampleCheckpoint(epoch: 12).write(to: repository)
        let storage = try DirectoryStorage(path)
        #expect(
            try storage.list("") == [
                "boundaries", "caesura.json", "lock", "maintenance", "manifests", "packs",
            ])
        #expect(
            try storage.list("manifests")
                == ["00000000000000000001.json", "00000000000000000012.json"])
        #expect(
            try storage.list("packs") == [
                "00000000000000000001-0000.pack", "00000000000000000001-0001.pack",
                "00000000000000000012-0000.pack", "00000000000000000012-0001.pack",
            ])
        #expect(try SampleCheckpoint(epoch: 1).isWhole(in: storage))
        #expect(try SampleCheckpoint(epoch: 12).isWhole(in: storage))
        let manifest = try CheckpointReader(storage: storage, epoch: 12).manifest
        #expect(manifest.previousEpoch == 1)
    }

    @Test func `the packs one after the other are the stream`() throws {
        let storage = MemoryStorage()
        let sample = SampleCheckpoint(epoch: 1)
        try sample.write(to: Repository(location: .storage(storage), access: .write))
        let packs = storage.files(in: "packs").flatMap { storage.bytes("packs/" + $0)! }
        #expect(packs == sample.chunks.flatMap(\.bytes))
    }

    @Test func `an epoch that is not newer than the newest checkpoint is refused`() async throws {
        let repository = try await Repository.open(.storage(MemoryStorage()))
        let store = try SessionStore().store
        let cuts = (0..<3).map { _ in store.cut() }
        defer { for cut in cuts { cut.close() } }
        try await repository.checkpoint(of: cuts[1])
        for cut in cuts[...1] {
            let error = await #expect(throws: RepositoryError(.exists, "")) {
                try await repository.checkpoint(of: cut)
            }
            #expect(error?.hint?.hasPrefix("restore one of its checkpoints") == true)
        }
        try await repository.checkpoint(of: cuts[2])
        #expect(try await repository.epochs() == cuts[1...].map(\.epoch.rawValue))
    }

    @Test func `one checkpoint at a time`() throws {
        let repository = try Repository(location: .storage(MemoryStorage()), access: .write)
        try repository.claim()
        let writer = try repository.beginCheckpoint(SampleCheckpoint(epoch: 5).manifest)
        #expect(throws: RepositoryError(.locked, "")) {
            try SampleCheckpoint(epoch: 6).write(to: repository)
        }
        writer.abort()
        repository.endCheckpoint()
        try SampleCheckpoint(epoch: 5).write(to: repository)
    }

    @Test func `a repository that is open for reading, or closed, takes no checkpoint`() throws {
        let storage = MemoryStorage()
        let repository = try Repository(location: .storage(storage), access: .write)
        try SampleCheckpoint(epoch: 5).write(to: repository)
        repository.close()
        let reader = try Repository(location: .storage(storage), access: .read)
        #expect(throws: RepositoryError(.storage, "")) {
            try SampleCheckpoint(epoch: 6).write(to: repository)
        }
        #expect(throws: RepositoryError(.storage, "")) {
            try SampleCheckpoint(epoch: 6).write(to: reader)
        }
        #expect(try reader.listEpochs() == [5])
    }

    @Test func `a directory with other files in it is not made a repository`() throws {
        let storage = try DirectoryStorage(directory.path)
        _ = try storage.create("thesis.tex")
        let error = #expect(throws: RepositoryError(.exists, "")) {
            try Repository(location: .directory(directory.path), access: .write)
        }
        #expect(error?.message.contains("\"thesis.tex\"") == true)
        #expect(try storage.list("") == ["thesis.tex"])
    }

    @Test(arguments: ["manifests", "packs"])
    func `a repository that has lost a directory is left as it is`(lost: String) throws {
        let storage = try DirectoryStorage(directory.path)
        try SampleCheckpoint(epoch: 5).write(
            to: Repository(location: .directory(directory.path), access: .write))
        let before = try storage.list("manifests") + storage.list("packs")
        let (from, to) = (directory.path + "/" + lost, directory.path + "/lost")
        #expect(unsafe rename(from, to) == 0)
        let error = #expect(throws: RepositoryError(.damaged, "")) {
            try Repository(location: .directory(directory.path), access: .write)
        }
        #expect(error?.message == "the repository has lost its directory of \(lost)")
        #expect(unsafe rename(to, from) == 0)
        #expect(try storage.list("manifests") + storage.list("packs") == before)
    }

    @Test func `a pack that cannot be opened is not called damaged`() async throws {
        let repository = try Repository(location: .directory(directory.path), access: .write)
        try SampleCheckpoint(epoch: 5).write(to: repository)
        let pack = directory.path + "/packs/" + Layout.packName(5, 0)
        #expect(unsafe unlink(pack) == 0)
        // A link to itself: "too many levels of symbolic links", for root too.
        #expect(unsafe symlink(pack, pack) == 0)
        await #expect(throws: RepositoryError(.storage, "")) { try await repository.verify() }
    }

    @Test func `a name that is temporary in another directory belongs to someone else`() throws {
        try SampleCheckpoint(epoch: 5).write(
            to: Repository(location: .directory(directory.path), access: .write))
        let storage = try DirectoryStorage(directory.path)
        let manifest = "00000000000000000009.json.tmp"
        let foreign = [manifest, "manifests/caesura.json.tmp"]
        let ours = ["caesura.json.tmp", "manifests/" + manifest]
        for name in foreign + ours { try storage.create(name).close() }
        _ = try Repository(location: .directory(directory.path), access: .write)
        for name in foreign { _ = try storage.open(name) }
        for name in ours {
            #expect(throws: RepositoryError(.notFound, "")) { try storage.open(name) }
        }
    }

    @Test func `what is not there is not found`() throws {
        #expect(throws: RepositoryError(.notFound, "")) {
            try Repository(location: .directory(directory.path + "/no"), access: .read)
        }
        #expect(throws: RepositoryError(.notFound, "")) {
            try Repository(location: .directory(directory.path + "/no/such"), access: .write)
        }
        let error = #expect(throws: RepositoryError(.notFound, "")) {
            try Repository(location: .directory(directory.path), access: .read)
        }
        #expect(error?.hint == "name the directory that holds caesura.json")
        let storage = MemoryStorage()
        _ = try Repository(location: .storage(storage), access: .write)
        let missing = #expect(throws: RepositoryError(.notFound, "")) {
            try CheckpointReader(storage: storage, epoch: 3)
        }
        #expect(missing?.message == "there is no checkpoint of epoch 3")
    }

    @Test(arguments: [
        (#"{"format": "caesura-repository", "version": 2}"#, RepositoryError.Code.unsupported),
        (#"{"format": "caesura-repository"}"#, .damaged), (#"{"version": 1}"#, .damaged),
        ("", .damaged), ("{} {}", .damaged),
    ])
    func `a marker of another version or kind is refused`(
        _ text: String, _ code: RepositoryError.Code
    ) throws {
        let storage = MemoryStorage()
        storage.replace("caesura.json", with: Array(text.utf8))
        for access in [Repository.Access.read, .write] {
            #expect(throws: RepositoryError(code, "")) {
                try Repository(location: .storage(storage), access: access)
            }
        }
    }

    @Test func `files that are not ours are never removed`() throws {
        let storage = MemoryStorage()
        _ = try Repository(location: .storage(storage), access: .write)
        let foreign = [
            "packs/1-0000.pack", "packs/00000000000000000001-000.pack",
            "packs/00000000000000000001-0000.pack.bak", "packs/notes.tmp",
            "packs/99999999999999999999-0000.pack", "manifests/1.json.tmp", "manifests/notes.txt",
            "notes.tmp",
        ]
        for path in foreign { storage.replace(path, with: []) }
        let ours = [
            "packs/00000000000000000001-0000.pack", "manifests/00000000000000000001.json.tmp",
        ]
        for path in ours { storage.replace(path, with: []) }
        _ = try Repository(location: .storage(storage), access: .write)
        for path in foreign { #expect(storage.bytes(path) != nil, "\(path)") }
        for path in ours { #expect(storage.bytes(path) == nil, "\(path)") }
    }

    @Test func `a pack that is missing, short or long is damage, named`() throws {
        let sample = SampleCheckpoint(epoch: 1)
        let path = "packs/00000000000000000001-0001.pack"
        for change in [-1, 1, nil] {
            let storage = MemoryStorage()
            try sample.write(to: Repository(location: .storage(storage), access: .write))
            let bytes = storage.bytes(path)!
            switch change {
            case let change?:
                storage.replace(path, with: Array((bytes + [0]).prefix(bytes.count + change)))
            case nil: try storage.remove(path)
            }
            let error = #expect(throws: RepositoryError(.damaged, "")) {
                try sample.isWhole(in: storage)
            }
            #expect(error?.path == "memory:/" + path)
            #expect(error?.epoch == 1)
        }
    }

    @Test func `a removed checkpoint is gone, and the others are not`() throws {
        let storage = MemoryStorage()
        let repository = try Repository(location: .storage(storage), access: .write)
        for epoch in 1...3 as ClosedRange<UInt64> {
            try SampleCheckpoint(epoch: epoch).write(to: repository)
        }
        try repository.removeCheckpoint(at: 2)
        #expect(try repository.listEpochs() == [1, 3])
        #expect(storage.files(in: "packs").count == 4)
        #expect(try SampleCheckpoint(epoch: 1).isWhole(in: storage))
        #expect(try SampleCheckpoint(epoch: 3).isWhole(in: storage))
        #expect(throws: RepositoryError(.notFound, "")) { try repository.removeCheckpoint(at: 2) }
    }
}
