import CaesuraFormat
import CaesuraMigration
import Testing

/// How messages about schemas are coded.
@Suite struct SchemaMessageTests {
    static func bytes(of message: SchemaMessage) -> [UInt8] {
        var writer = ByteWriter()
        message.encode(into: &writer)
        return unsafe Array(writer.bytes)
    }

    static func message(of bytes: [UInt8]) throws -> SchemaMessage {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe ByteReader(buffer)
            let message = try SchemaMessage(reading: &reader)
            guard reader.remaining == 0 else {
                throw reader.error(.malformed, "there is more")
            }
            return message
        }
    }

    private typealias Negotiation = SchemaNegotiationTests

    private static let offer: SchemaMessage = {
        let first = Negotiation.region(1, [Negotiation.user])
        let last = Negotiation.region(3, [Negotiation.wide, Negotiation.note])
        return .offer(
            SchemaOffer([
                .init(
                    Negotiation.region(4, [Negotiation.wide, Negotiation.note]), reading: last,
                    migrations: [SchemaStep(from: first.row, to: last.row)]),
                .init(Negotiation.region(1, name: "b", [Negotiation.bare])),
            ]))
    }()

    private static func refusal(_ count: Int, text: String) -> SchemaMessage {
        var fields: [Field] = []
        for number in 1...UInt16(count) {
            fields.append(Field(number: number, name: text + "\(number)", type: .string))
        }
        let program = Negotiation.region(1, fields)
        let data = Negotiation.region(1, [Field(number: 999, name: "x", type: .string)])
        guard let conflicts = Negotiation.conflicts(data, program) else {
            preconditionFailure("fields without defaults are missing")
        }
        return .refusal(conflicts)
    }

    @Test func `messages are coded as on the page`() throws {
        // region "l": a log of a row "r", version 1, with field 1 "f", a bool
        let region: [UInt8] = [1, 0x6C, 2, 0, 1, 0x72, 1, 1, 1, 1, 0x66, 1, 0, 1, 0]
        let schema = RegionSchema(
            name: "l", kind: .log, key: nil,
            row: Schema(
                name: "r", fields: [Field(number: 1, name: "f", type: .scalar(.bool))]))
        let offer = SchemaMessage.offer(SchemaOffer([.init(schema)]))
        #expect(Self.bytes(of: offer) == [1, 1] + region + [0])
        #expect(
            Self.bytes(of: .acceptance(digest: 0x0102_0304_0506_0708))
                == [2, 8, 7, 6, 5, 4, 3, 2, 1])
        var later = schema
        later.row.version = 2
        var laterRegion = region
        laterRegion[6] = 2
        let migrating = SchemaMessage.offer(
            SchemaOffer([
                .init(
                    schema, reading: later,
                    migrations: [SchemaStep(from: schema.row, to: later.row)])
            ]))
        #expect(
            Self.bytes(of: migrating)
                == [1, 1] + region + [3] + laterRegion + [1] + region + laterRegion)
        let conflicts = try #require(
            Negotiation.conflicts(
                Negotiation.region(2, [Negotiation.wide]),
                Negotiation.region(1, [Negotiation.user])))
        let text = { (text: String) in [UInt8(text.utf8.count)] + Array(text.utf8) }
        #expect(conflicts.count == 1)
        #expect(
            Self.bytes(of: .refusal(conflicts))
                == [3, 1, 4] + text("sessions") + [1, 2, 1] + text("user") + text("uint64")
                + text("uint32") + text(conflicts[0].hint))
    }

    @Test func `messages come back as they were`() throws {
        for message in [
            Self.offer, .offer(SchemaOffer([])), .acceptance(digest: .max),
            Self.refusal(3, text: "field"),
        ] {
            #expect(try Self.message(of: Self.bytes(of: message)) == message)
        }
    }

    @Test func `a refusal tells as much as a reader takes`() throws {
        guard
            case .refusal(let told) = try Self.message(
                of: Self.bytes(of: Self.refusal(300, text: "f")))
        else {
            Issue.record("another message came back")
            return
        }
        #expect(told.count == SchemaMessage.conflictLimit)
        var fields: [Field] = []
        for number in 1...900 as ClosedRange<UInt16> {
            fields.append(Field(number: number, name: "é\(number)", type: .string))
        }
        let nested = Field(number: 1, name: "user", type: .structure(fields))
        let conflicts = try #require(
            Negotiation.conflicts(
                Negotiation.region(1, [nested]), Negotiation.region(1, [Negotiation.user])))
        #expect(conflicts[0].data.utf8.count > SchemaMessage.conflictTextLimit)
        guard case .refusal(let cut) = try Self.message(of: Self.bytes(of: .refusal(conflicts)))
        else {
            Issue.record("another message came back")
            return
        }
        #expect((4_090...4_096).contains(cut[0].data.utf8.count))
        #expect(conflicts[0].data.hasPrefix(cut[0].data))
    }

    @Test func `whatever is done to its bytes, a message is read or refused`() throws {
        for message in [Self.offer, .acceptance(digest: 7), Self.refusal(3, text: "field")] {
            let bytes = Self.bytes(of: message)
            for count in bytes.indices {
                #expect(throws: FormatError(.truncated, "", at: 0)) {
                    try Self.message(of: Array(bytes[..<count]))
                }
            }
            for index in bytes.indices {
                for bit in 0..<8 {
                    var wrong = bytes
                    wrong[index] ^= 1 << UInt8(bit)
                    do {
                        // What is read can be written, and is the same then.
                        let read = try Self.message(of: wrong)
                        #expect(try Self.message(of: Self.bytes(of: read)) == read)
                    } catch is FormatError {}
                }
            }
        }
        for (bytes, code) in [
            ([9], .unsupported), ([3, 0], .malformed), ([3, 1, 8], .unsupported),
            ([3, 1, 0], .unsupported), ([1, 0x81, 0x08], .limitExceeded),
            ([3, 0x81, 0x02], .limitExceeded),
        ] as [([UInt8], FormatError.Code)] {
            #expect(throws: FormatError(code, "", at: 0)) { try Self.message(of: bytes) }
        }
        // A region twice, migrations that are none, parts of a newer protocol.
        let region: [UInt8] = [1, 0x6C, 2, 0, 1, 0x72, 1, 1, 1, 1, 0x66, 1, 0, 1, 0]
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try Self.message(of: [1, 2] + region + [0] + region + [0])
        }
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try Self.message(of: [1, 1] + region + [2, 0])
        }
        #expect(throws: FormatError(.malformed, "", at: 0)) {
            try Self.message(of: [1, 1] + region + [2, 1] + region + region)
        }
        #expect(throws: FormatError(.unsupported, "", at: 0)) {
            try Self.message(of: [1, 1] + region + [4])
        }
    }
}
