import CaesuraTesting
import Foundation
import Sessions
import Testing

/// Fails when a change of `Session` breaks with a version that shipped.
@Test func `every version that shipped is read`() throws {
    try SchemaContract(lock: URL(filePath: "caesura.schema.json")) {
        _ = try Sessions(in: $0)
    }.check()
}
