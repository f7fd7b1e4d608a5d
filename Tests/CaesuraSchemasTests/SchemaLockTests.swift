import CaesuraFormat
import CaesuraSchemas
import Foundation
import Testing

/// The file of shipped schemas.
@Suite struct SchemaLockTests {
    static func region(
        _ version: UInt32, _ fields: [Field], retired: [RetiredField] = [],
        name: String = "sessions"
    ) -> RegionSchema {
        RegionSchema(
            name: name, kind: .table,
            key: Schema(
                name: "key", fields: [Field(number: 1, name: "key", type: .scalar(.uint64))]),
            row: Schema(name: "session", version: version, fields: fields, retired: retired))
    }

    static let user = Field(number: 1, name: "user", type: .scalar(.uint32))

    @Test func `a lock comes back from its file, which is the same each time`() throws {
        var lock = SchemaLock()
        #expect(try lock.add([Self.region(1, [Self.user])]).count == 1)
        #expect(try lock.add([Self.region(1, [Self.user])]).isEmpty)
        let note = Field(number: 2, name: "note", type: .string, defaultValue: .string("\"é\n"))
        try lock.add([Self.region(4, [Self.user, note]), Self.region(1, [note], name: "other")])
        try lock.retire("sessions", before: 4)
        let again = try SchemaLock(json: lock.json)
        #expect(again == lock)
        #expect(again.json == lock.json)
        #expect(again.regions["sessions"]?.map(\.isReadable) == [false, true])
        #expect(again.newest.map(\.name) == ["other", "sessions"])
        #expect(try SchemaLock(json: SchemaLock().json) == SchemaLock())
    }

    @Test func `a version is never taken twice`() throws {
        var lock = SchemaLock()
        try lock.add([Self.region(3, [Self.user])])
        for version in [1, 3] as [UInt32] {
            let before = lock
            #expect(throws: SchemaLockError(.versionTaken, "")) {
                try lock.add([Self.region(version, []), Self.region(1, [], name: "new")])
            }
            #expect(lock == before)
        }
        #expect(throws: SchemaLockError(.notFound, "")) { try lock.retire("others", before: 2) }
    }

    @Test func `a file that was changed by hand or by a merge is told`() throws {
        var lock = SchemaLock()
        try lock.add([Self.region(1, [Self.user])])
        try lock.add([Self.region(2, [Self.user])])
        let text = String(decoding: lock.json, as: UTF8.self)
        for (old, new) in [
            ("\"version\" : 2", "\"version\" : 3"), ("\"version\" : 2", "\"version\" : 1"),
            ("\"name\" : \"sessions\"", "\"name\" : \"other\""),
            ("\"schemaBytes\" : \"", "\"schemaBytes\" : \"0"),
            ("\"schemaBytes\" : \"", "\"schemaBytes\" : \"+1"),
            ("\"fingerprint\" : \"", "\"fingerprint\" : \"0"),
            ("}", ""), ("\"regions\"", "\"region\""),
        ] {
            #expect(text.contains(old))
            let place = try #require(text.range(of: old, options: .backwards))
            let changed = text.replacingCharacters(in: place, with: new)
            #expect(throws: SchemaLockError(.malformed, ""), "\(new)") {
                try SchemaLock(json: Data(changed.utf8))
            }
        }
        let later = text.replacing("\"format\" : 1", with: "\"format\" : 2")
        #expect(throws: SchemaLockError(.unsupported, "")) {
            try SchemaLock(json: Data(later.utf8))
        }
    }

    @Test func `no bytes of a file make it crash`() throws {
        var lock = SchemaLock()
        try lock.add([Self.region(1, [Self.user])])
        let bytes = Array(lock.json)
        for place in bytes.indices {
            for byte in [0, 0x22, 0x30, 0x66, 0x7D, 0xFF] as [UInt8] {
                var changed = bytes
                changed[place] = byte
                _ = try? SchemaLock(json: Data(changed))
            }
            _ = try? SchemaLock(json: Data(bytes[..<place]))
        }
    }
}
