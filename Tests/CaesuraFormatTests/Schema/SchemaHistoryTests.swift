import CaesuraFormat
import CaesuraTesting
import Testing

/// Histories of schemas at random: what resolution allows reads back right, and what it refuses has a reason.
@Suite struct SchemaHistoryTests {
    private typealias Step = RandomHistory.Step

    /// Rows of the data as they are stored.
    private func read(
        _ rows: [[Value]], _ resolution: SchemaResolution
    ) throws -> [[Value]] {
        let batch = ColumnBatch(try RegionLayout(resolution.writer), rows: rows)
        let resolver = ColumnResolver(resolution)
        resolver.resolve(batch)
        let stored = try RegionLayout(resolution.stored)
        #expect(resolver.batch.leaves == stored.leaves)
        return resolver.batch.rows(stored)
    }

    private func modelled(
        _ row: [Value], _ data: RegionSchema, _ stored: RegionSchema
    ) -> [Value] {
        row[..<1] + ReadingModel.values(Array(row[1...]), data.row.fields, as: stored.row.fields)
    }

    @Test func `each version of a history reads each, or there is a step that is in the way`()
        throws
    {
        var (read, refused) = (0, 0)
        for index in 0..<150 as Range<UInt64> {
            let seed = RandomSchema.seed &+ index
            var history = RandomHistory(seed: seed, length: 6)
            for version in history.versions { try version.validate() }
            for data in history.versions {
                let rows = (0..<7 as Range<UInt64>).map { key in
                    [Value.uint(UInt128(key))]
                        + data.row.fields.map { history.random.value($0.type) }
                }
                for program in history.versions {
                    let place =
                        "version \(data.row.version) by \(program.row.version) of seed \(seed)"
                    do {
                        let resolution = try SchemaResolution(writer: data, reader: program)
                        try check(resolution, rows, place)
                        read += 1
                    } catch let error as SchemaConflicts {
                        refused += 1
                        // A newer program reads all that came before.
                        #expect(data.row.version > program.row.version, "\(place): \(error)")
                        for conflict in error.conflicts {
                            #expect(
                                hasReason(conflict, history.steps), "\(place): \(conflict)")
                        }
                    }
                }
            }
        }
        print("histories from seed \(RandomSchema.seed): \(read) pairs read, \(refused) refused")
        #expect(read > 1_000 && refused > 50)
    }

    private func check(
        _ resolution: SchemaResolution, _ rows: [[Value]], _ place: String
    ) throws {
        let (data, program, stored) = (
            resolution.writer, resolution.reader, resolution.stored
        )
        try stored.validate()
        let result = try read(rows, resolution)
        let expected = rows.map { modelled($0, data, stored) }
        #expect(result == expected, "\(place)")
        // The program's own fields come first, in its order.
        let known = program.row.fields.map(\.number)
        #expect(stored.row.fields.prefix(known.count).map(\.number) == known)
        if data.row.version <= program.row.version {
            #expect(stored == program, "\(place)")
            return
        }
        // Who knows the data's version gets it back whole.
        let back = try SchemaResolution(writer: stored, reader: data)
        let again = try read(result, back)
        let whole = rows.map { modelled($0, data, back.stored) }
        #expect(again == whole, "\(place) and back")
        #expect(back.stored == data, "\(place) and back")
    }

    /// Whether something was done to the field, or to one around it, that an older program cannot read.
    private func hasReason(_ conflict: SchemaConflict, _ steps: [Step]) -> Bool {
        let kinds: Set<Step.Kind> =
            switch conflict.rule {
            case .missingDefault: [.retire]
            case .otherType: [.widen, .optional]
            case .unknownCases: [.addCase]
            default: []
            }
        return steps.contains { step in
            step.number == conflict.number && kinds.contains(step.kind)
                && step.version > conflict.programVersion && step.version <= conflict.dataVersion
        }
    }

    @Test func `a step that is not allowed is refused by its name`() throws {
        for index in 0..<200 as Range<UInt64> {
            let seed = RandomSchema.seed &+ 10_000 &+ index
            var history = RandomHistory(seed: seed, length: 4)
            let data = history.versions[3]
            guard let victim = data.row.fields.randomElement(using: &history.random.source) else {
                continue
            }
            let place = data.row.fields.firstIndex { $0.number == victim.number }!
            func rules(_ change: (inout RegionSchema) -> Void) -> [SchemaConflict.Rule] {
                var program = data
                program.row.version += 1
                change(&program)
                do {
                    _ = try SchemaResolution(writer: data, reader: program)
                    return []
                } catch {
                    return error.conflicts.map(\.rule)
                }
            }
            #expect(rules { $0.row.fields.remove(at: place) } == [.droppedField], "seed \(seed)")
            #expect(rules { $0.row.fields[place].name = "silent" } == [.otherName])
            #expect(
                rules {
                    $0.row.fields.append(
                        Field(
                            number: 60_000, name: "new", type: .string, since: data.row.version + 1)
                    )
                } == [.missingDefault])
            #expect(
                rules {
                    $0.row.fields[place].type = victim.type == .bytes ? .string : .bytes
                    $0.row.fields[place].defaultValue = nil
                } == [.otherType], "seed \(seed)")
            #expect(rules { $0.kind = .cell }.contains(.otherKind))
            #expect(rules { $0.key!.fields[0].type = .scalar(.int64) } == [.otherKey])
            if case .optional(let wrapped) = victim.type {
                #expect(
                    rules {
                        $0.row.fields[place].type = wrapped
                        $0.row.fields[place].defaultValue = nil
                    } == [.otherType])
            }
        }
    }

    @Test func `any two schemas are resolved or refused, and what is stored is a schema`() throws {
        var counts = (read: 0, refused: 0)
        for index in 0..<3_000 as Range<UInt64> {
            var random = RandomSchema(seed: RandomSchema.seed &+ 20_000 &+ index)
            var (data, program) = (random.region(), random.region())
            program.key = data.key
            if random.chance(2) {
                // Some fields in common, and names that meet.
                for field in data.row.fields where random.chance(2) {
                    program.row.fields.removeAll {
                        $0.number == field.number || $0.name == field.name
                    }
                    var field = field
                    if random.chance(4) { field.number = field.number % 60_000 + 1 }
                    if random.chance(4) { field.name += "#\(field.number)" }
                    field.since = 1
                    program.row.fields.removeAll { $0.number == field.number }
                    program.row.fields.append(field)
                }
            }
            do {
                try program.validate()
            } catch {
                continue
            }
            do {
                let resolution = try SchemaResolution(writer: data, reader: program)
                if (try? resolution.stored.validate()) == nil {
                    // Only a name that somebody made up for this is twice.
                    #expect(
                        data.row.fields.contains { $0.name.contains("#") }
                            || program.row.fields.contains { $0.name.contains("#") })
                    continue
                }
                let rows = (0..<3).map { _ in
                    data.key!.fields.map { random.value($0.type) }
                        + data.row.fields.map { random.value($0.type) }
                }
                #expect(try read(rows, resolution).count == 3)
                counts.read += 1
            } catch is SchemaConflicts {
                counts.refused += 1
            }
        }
        print("pairs of schemas from seed \(RandomSchema.seed): \(counts)")
        #expect(counts.read > 50 && counts.refused > 50)
    }
}
