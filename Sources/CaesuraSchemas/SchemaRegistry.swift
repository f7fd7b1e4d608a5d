public import CaesuraFormat
import Foundation

/// What a package's registry does: an executable that tells the tool the present schemas, so that nobody copies them.
///
///     // Sources/SessionSchemas/main.swift
///     import Caesura
///     import CaesuraSchemas
///     import Sessions
///
///     let store = Store()
///     try Sessions.declare(in: store)
///     SchemaRegistry.print(store.regions)
///
/// `swift package schema check` builds and runs it; so does `swift run SessionSchemas | caesura schema check -`.
public enum SchemaRegistry {
    /// Prints schemas as ``SchemaLock/json`` has them.
    ///
    /// - Precondition: No two are of one region.
    public static func print(_ schemas: [RegionSchema]) {
        var registry = SchemaLock()
        for schema in schemas {
            do throws(SchemaLockError) {
                try registry.add([schema])
            } catch {
                preconditionFailure("a store's regions have different names: \(error)")
            }
        }
        FileHandle.standardOutput.write(registry.json)
    }
}
