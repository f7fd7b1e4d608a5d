import Caesura
import CaesuraFormat
import CaesuraMigration
import Testing

/// Two sides that settle schemas.
@Suite struct SchemaNegotiationTests {
    /// Lets two machines talk over bytes, and gives what each came to.
    static func negotiate(
        source: SchemaOffer, target: SchemaOffer
    ) throws -> (source: SchemaNegotiation.State, target: SchemaNegotiation.State) {
        var machines = [
            SchemaNegotiation(as: .source, offering: source),
            SchemaNegotiation(as: .target, offering: target),
        ]
        var inboxes: [[SchemaMessage]] = [[machines[1].offer], [machines[0].offer]]
        while let side = inboxes.firstIndex(where: { !$0.isEmpty }) {
            let message = try copy(of: inboxes[side].removeFirst())
            if let answer = try machines[side].receive(message) {
                inboxes[1 - side].append(answer)
            }
        }
        return (machines[0].state, machines[1].state)
    }

    /// The message as it arrives.
    static func copy(of message: SchemaMessage) throws -> SchemaMessage {
        try SchemaMessageTests.message(of: SchemaMessageTests.bytes(of: message))
    }

    static func region(
        _ version: UInt32, name: String = "sessions", kind: RegionKind = .log,
        retired: [RetiredField] = [], _ fields: [Field]
    ) -> RegionSchema {
        RegionSchema(
            name: name, kind: kind, key: nil,
            row: Schema(name: "session", version: version, fields: fields, retired: retired))
    }

    static let user = Field(number: 1, name: "user", type: .scalar(.uint32))
    static let wide = Field(number: 1, name: "user", type: .scalar(.uint64))
    static let note = Field(
        number: 2, name: "note", type: .string, defaultValue: .string(""), since: 2)
    static let bare = Field(number: 3, name: "bare", type: .string)

    /// Schemas that differ in all that is judged.
    static let schemas = [
        region(1, [user]),
        region(2, [user, note]),
        region(3, [wide, note]),
        region(3, [user, note, bare]),
        region(4, retired: [2, "note"], [wide]),
        region(2, [Field(number: 1, name: "person", type: .scalar(.uint32))]),
        region(2, kind: .cell, [user]),
        region(2, [Field(number: 1, name: "user", type: .string)]),
    ]

    @Test func `both sides come to the same where texts only look the same`() throws {
        func region(_ text: String) -> RegionSchema {
            Self.region(
                1, [Field(number: 1, name: "city", type: .string, defaultValue: .string(text))])
        }
        let offer = SchemaOffer([
            SchemaOffer.Region(region("Orl\u{E9}ans"), reading: region("Orle\u{301}ans"))
        ])
        let states = try Self.negotiate(source: offer, target: offer)
        guard case .agreed(let agreement) = states.source else {
            Issue.record("\(states.source)")
            return
        }
        #expect(states.target == states.source)
        #expect(agreement.regions.map(\.isReversible) == [true])
    }

    @Test func `both sides come to the same, and to what reading allows`() throws {
        var agreed = 0
        for source in Self.schemas {
            for target in Self.schemas {
                let states = try Self.negotiate(
                    source: SchemaOffer([.init(source)]), target: SchemaOffer([.init(target)]))
                #expect(states.source == states.target)
                do {
                    let resolution = try SchemaResolution(writer: source, reader: target)
                    let back = try? SchemaResolution(writer: resolution.stored, reader: source)
                    guard case .agreed(let agreement) = states.source else {
                        Issue.record("\(source) to \(target): \(states.source)")
                        continue
                    }
                    agreed += 1
                    let region = try #require(agreement.regions.first)
                    #expect(agreement.regions.count == 1)
                    #expect(region.name == "sessions" && region.version == source.row.version)
                    #expect(region.stored == resolution.stored)
                    #expect(region.isReversible == (back != nil))
                } catch let error as SchemaConflicts {
                    #expect(states.source == .refused(.conflicts(error.conflicts)))
                }
            }
        }
        // Neither always nor never.
        #expect(agreed >= Self.schemas.count && agreed < Self.schemas.count * Self.schemas.count)
    }

    @Test func `one region that cannot be read refuses all, with every reason`() throws {
        let source = SchemaOffer([
            .init(Self.region(1, name: "a", [Self.user])),
            .init(Self.region(2, name: "b", [Self.wide])),
            .init(Self.region(2, name: "c", [Self.wide])),
        ])
        let target = SchemaOffer(
            ["a", "b", "c"].map { .init(Self.region(2, name: $0, [Self.user, Self.note])) })
        let states = try Self.negotiate(source: source, target: target)
        guard case .refused(.conflicts(let conflicts)) = states.source else {
            Issue.record("\(states.source)")
            return
        }
        #expect(conflicts.map(\.region) == ["b", "c"])
        #expect(conflicts.allSatisfy { $0.rule == .otherType && $0.number == 1 })
        #expect(states.target == states.source)
    }

    @Test func `a region that the target lacks is taken as it comes`() throws {
        let source = Self.region(7, [Self.user])
        let states = try Self.negotiate(
            source: SchemaOffer([.init(source)]),
            target: SchemaOffer([.init(Self.region(1, name: "other", [Self.bare]))]))
        guard case .agreed(let agreement) = states.target else {
            Issue.record("\(states.target)")
            return
        }
        #expect(agreement.regions.map(\.name) == ["sessions"])
        #expect(agreement.regions[0].isReversible && agreement.regions[0].stored == source)
        #expect(states.source == states.target)
    }

    // MARK: Programs

    @Schema("person")
    struct Person: Hashable {
        @Field(1) var name: String
    }

    @Schema("person", version: 2, retired: [1, "name"])
    struct SplitPerson: Hashable {
        @Field(2, since: 2) var first: String = ""
        @Field(3, since: 2) var last: UInt32 = 0
    }

    private static let split = RowMigration(from: Person.self, to: SplitPerson.self) { old in
        SplitPerson(first: old.name, last: UInt32(old.name.utf8.count))
    }

    @Test func `what was settled is what a restore does`() throws {
        func old() throws -> Store {
            let store = Store()
            try store.log("people", row: Person.self).append(Person(name: "Ada"))
            return store
        }
        func new(_ migrations: [RowMigration]) throws -> Store {
            let store = Store()
            let log = try store.log("people", row: SplitPerson.self, migrations: migrations)
            log.append(SplitPerson(first: "Bob", last: 3))
            return store
        }
        for migrations in [[], [Self.split]] {
            for (source, target) in [
                (try old(), try new(migrations)), (try new(migrations), try old()),
                (try old(), try old()), (try new(migrations), try new(migrations)),
            ] {
                let states = try Self.negotiate(
                    source: source.schemaOffer, target: target.schemaOffer)
                #expect(states.source == states.target)
                target.removeAll()
                let isRestored = Self.restore(source, into: target)
                switch states.source {
                case .agreed(let agreement):
                    #expect(isRestored)
                    #expect(agreement.regions.map(\.stored) == target.regions)
                case .refused: #expect(!isRestored)
                default: Issue.record("\(states.source)")
                }
            }
        }
    }

    private static func restore(_ source: Store, into target: Store) -> Bool {
        var restorer = StreamRestorer(into: target)
        do {
            try restorer.push(source.cut().write(to: ByteArraySink()).bytes)
            try restorer.finish()
            return true
        } catch {
            return false
        }
    }

    @Test func `a program with fields that it keeps for others offers them`() throws {
        let newer = Store()
        let log = try newer.log("people", row: SplitPerson.self)
        log.append(SplitPerson(first: "Ada", last: 3))
        let older = Store()
        _ = try older.log("people", row: LastOnly.self)
        #expect(Self.restore(newer, into: older))
        let offer = try #require(older.schemaOffer.regions.first)
        #expect(offer.read == older.regions.first.map { _ in LastOnly.region })
        #expect(offer.written.row.fields.map(\.name) == ["last", "first"])
        let states = try Self.negotiate(source: older.schemaOffer, target: newer.schemaOffer)
        guard case .agreed(let agreement) = states.source else {
            Issue.record("\(states.source)")
            return
        }
        #expect(agreement.regions[0].isReversible)
    }

    @Schema("person")
    struct LastOnly: Hashable {
        @Field(3) var last: UInt32 = 0
        static let region = RegionSchema(name: "people", kind: .log, key: nil, row: schema)
    }

    // MARK: The machine

    @Test func `a message that does not come now changes nothing`() throws {
        let offer = SchemaOffer([.init(Self.schemas[0])])
        let other = SchemaOffer([.init(Self.schemas[7])])
        let conflicts = [
            SchemaMessage.refusal(try #require(Self.conflicts(Self.schemas[7], Self.schemas[0])))
        ]
        let messages = [SchemaMessage.offer(offer), .acceptance(digest: 1)] + conflicts
        for role in [SchemaNegotiation.Role.source, .target] {
            // Which of an offer, an acceptance and a refusal comes when.
            func check(_ machine: SchemaNegotiation, takes: [Bool]) throws {
                for (message, isTaken) in zip(messages, takes) {
                    var copy = machine
                    if isTaken {
                        _ = try copy.receive(message)
                        #expect(copy.state != machine.state)
                    } else {
                        #expect(throws: FormatError(.malformed, "", at: 0)) {
                            try copy.receive(message)
                        }
                        #expect(copy.state == machine.state)
                    }
                }
            }
            let offering = SchemaNegotiation(as: role, offering: offer)
            #expect(offering.state == .offering)
            try check(offering, takes: [true, false, false])
            var deciding = offering
            let acceptance = try #require(try deciding.receive(.offer(offer)))
            #expect(deciding.state == .deciding)
            try check(deciding, takes: [false, true, true])
            var agreed = deciding
            #expect(try agreed.receive(acceptance) == nil)
            try check(agreed, takes: [false, false, false])
            var refused = offering
            guard case .refusal(let reasons)? = try refused.receive(.offer(other)) else {
                Issue.record("other schemas were accepted")
                return
            }
            #expect(refused.state == .deciding)
            // Its own reasons count, whatever the other side says.
            for answer in messages.dropFirst() {
                var copy = refused
                #expect(try copy.receive(answer) == nil)
                #expect(copy.state == .refused(.conflicts(reasons)))
                try check(copy, takes: [false, false, false])
            }
        }
    }

    @Test func `two releases that read differently do not agree`() throws {
        let offer = SchemaOffer([.init(Self.schemas[0])])
        var machine = SchemaNegotiation(as: .source, offering: offer)
        guard case .acceptance(let digest)? = try machine.receive(.offer(offer)) else {
            Issue.record("one schema was not accepted")
            return
        }
        var same = machine
        _ = try same.receive(.acceptance(digest: digest))
        guard case .agreed = same.state else {
            Issue.record("\(same.state)")
            return
        }
        _ = try machine.receive(.acceptance(digest: digest &+ 1))
        #expect(machine.state == .refused(.differentResults))
        // One that refuses alone is believed.
        var refused = SchemaNegotiation(as: .source, offering: offer)
        _ = try refused.receive(.offer(offer))
        let reasons = try #require(Self.conflicts(Self.schemas[7], Self.schemas[0]))
        _ = try refused.receive(.refusal(reasons))
        #expect(refused.state == .refused(.conflicts(reasons)))
    }

    static func conflicts(_ data: RegionSchema, _ program: RegionSchema) -> [SchemaConflict]? {
        do throws(SchemaConflicts) {
            _ = try SchemaResolution(writer: data, reader: program)
            return nil
        } catch {
            return error.conflicts
        }
    }
}
