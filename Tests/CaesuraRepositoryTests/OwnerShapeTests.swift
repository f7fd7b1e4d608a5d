import CaesuraFormat
import CaesuraMigration
import Testing

@testable import CaesuraRepository

/// The shape that the nodes of a register in a directory share.
@Suite struct OwnerShapeTests {
    private func shape(_ number: UInt64) -> OwnerShape {
        OwnerShape(hashKey: HashKey(k0: number, k1: .max - number), moveBits: Int(number % 17))
    }

    @Test func `what the first proposes counts for all`() async throws {
        let storage = MemoryStorage()
        for number in 3..<6 as Range<UInt64> {
            let register = DirectoryOwnerRegister(storage: storage)
            #expect(try await register.shape(proposing: shape(number)) == shape(3))
        }
    }

    @Test func `whoever only asks proposes nothing`() async throws {
        let storage = MemoryStorage()
        let register = DirectoryOwnerRegister(storage: storage)
        #expect(try await register.shape() == nil)
        #expect(try await register.shape(proposing: shape(5)) == shape(5))
        #expect(try await register.shape() == shape(5))
    }

    @Test func `of nodes that propose at once all get one`() async throws {
        let directory = TemporaryDirectory()
        let path = directory.path
        for round in 0..<20 as Range<UInt64> {
            let shapes = try await withThrowingTaskGroup(of: OwnerShape.self) { group in
                for node in 0..<4 as Range<UInt64> {
                    let proposed = shape(round * 4 + node)
                    group.addTask {
                        let register = try await DirectoryOwnerRegister("\(path)/\(round)")
                        return try await register.shape(proposing: proposed)
                    }
                }
                return try await group.reduce(into: Set<OwnerShape>()) { $0.insert($1) }
            }
            #expect(shapes.count == 1)
        }
    }

    @Test func `what was told survives a crash at any operation`() async throws {
        let whole = MemoryStorage()
        _ = try await DirectoryOwnerRegister(storage: whole).shape(proposing: shape(1))
        let seed = UInt64.random(in: 0 ... .max)
        print("crash images from seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for operation in 0...whole.operations {
            let storage = MemoryStorage()
            storage.plan(.crash(at: operation))
            let told = try? await DirectoryOwnerRegister(storage: storage)
                .shape(proposing: shape(1))
            for image in 0..<8 {
                let next = storage.image {
                    image == 0 ? false : image == 1 ? true : Bool.random(using: &generator)
                }
                let found = try await DirectoryOwnerRegister(storage: next)
                    .shape(proposing: shape(2))
                #expect(told == nil || found == told, "operation \(operation), seed \(seed)")
                #expect(try ShapeFile(in: next).shape == found)
            }
        }
    }

    @Test func `a file that is not what was written is an error, and none is put in its place`()
        async throws
    {
        let storage = MemoryStorage()
        let register = DirectoryOwnerRegister(storage: storage)
        _ = try await register.shape(proposing: shape(1))
        let bytes = try storage.contents(of: ShapeFile.path, upTo: 4_096)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1
            storage.replace(ShapeFile.path, with: damaged)
            let error = try await #require(throws: OwnerRegisterError.self) {
                try await register.shape(proposing: shape(2))
            }
            #expect([.damaged, .unsupported].contains(error.code))
        }
    }
}
