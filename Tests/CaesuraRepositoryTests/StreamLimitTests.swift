import Caesura
import CaesuraFormat
import Testing

@testable import CaesuraRepository

/// Stores with more tables than a reader takes.
@Suite struct StreamLimitTests {
    /// Regions of about 24 KB of schema each.
    static func largeRegions(_ count: Int) -> [RegionSchema] {
        let long = String(repeating: "n", count: 200)
        return (0..<count).map { index in
            var region = SampleCheckpoint.region
            region.name = "table \(index)"
            region.row.fields = (1...110).map {
                Field(number: $0, name: "\(long)\($0)", type: .scalar(.uint8))
            }
            return region
        }
    }

    private func refuses(_ regions: [RegionSchema]) async throws -> RepositoryError? {
        var configuration = Store.Configuration()
        configuration.partitionBits = 0
        let store = Store(configuration)
        for region in regions { try store.declare(region) }
        let storage = MemoryStorage()
        let repository = try await Repository.open(.storage(storage))
        do {
            try await repository.checkpoint(store)
            try await repository.restore(into: Store())
            return nil
        } catch {
            #expect(storage.files(in: "packs").isEmpty)
            return error
        }
    }

    @Test func `a checkpoint of more tables than a stream takes is refused`() async throws {
        func regions(_ count: Int) -> [RegionSchema] {
            (0..<count).map { index in
                var region = SampleCheckpoint.region
                region.name = "table \(index)"
                return region
            }
        }
        #expect(try await refuses(regions(1024)) == nil)
        let error = try await refuses(regions(1025))
        #expect(error?.code == .mismatch)
        #expect(
            error?.message.hasSuffix("there are 1025 regions, and a stream has at most 1024")
                == true)
    }

    @Test func `a checkpoint of larger schemas than a metadata chunk takes is refused`()
        async throws
    {
        #expect(try await refuses(Self.largeRegions(150)) == nil)
        let error = try await refuses(Self.largeRegions(200))
        #expect(error?.code == .mismatch)
        #expect(error?.message.contains("the schemas of all regions take") == true)
    }
}
