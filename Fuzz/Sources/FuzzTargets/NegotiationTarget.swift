import CaesuraFormat
import CaesuraMigration

extension FuzzTarget {
    /// The input is a message about schemas; an offer is then compared with what programs here have, both ways, and with
    /// itself.
    static let negotiation = unsafe FuzzTarget(
        name: "negotiation",
        seeds: {
            let regions = Samples.layouts.map { SchemaOffer.Region($0.schema) }
            var messages = regions.map { SchemaMessage.offer(SchemaOffer([$0])) }
            messages.append(.offer(Self.own))
            messages.append(.acceptance(digest: 1))
            if let conflicts = Self.conflicts { messages.append(.refusal(conflicts)) }
            return messages.map { message in
                var writer = ByteWriter()
                message.encode(into: &writer)
                return writer.array
            }
        },
        run: { input in
            var reader = unsafe ByteReader(input)
            guard let message = try? SchemaMessage(reading: &reader) else { return }
            var writer = ByteWriter()
            message.encode(into: &writer)
            var again = unsafe ByteReader(writer.bytes)
            law((try? SchemaMessage(reading: &again)) == message, "a message comes back as it went")
            guard case .offer(let offer) = message else { return }
            law(
                (try? SchemaAgreement(source: offer, target: SchemaOffer([]))) != nil,
                "what nobody has is taken as it comes")
            for other in [Self.own, offer] {
                for (source, target) in [(offer, other), (other, offer)] {
                    guard let agreement = try? SchemaAgreement(source: source, target: target)
                    else { continue }
                    law(
                        agreement.regions.count == source.regions.count,
                        "every region is settled")
                    for region in agreement.regions {
                        law(
                            region.stored.name.utf8.elementsEqual(region.name.utf8),
                            "what is stored is of the region")
                    }
                }
            }
        })

    /// What the programs here have: the same regions in a later version.
    private static let own: SchemaOffer = {
        SchemaOffer(
            Samples.layouts.map { layout in
                var later = layout.schema
                later.row.version += 1
                let number = (later.row.fields.map(\.number).max() ?? 0) + 1
                later.row.fields.append(
                    Field(
                        number: number, name: "field \(number)", type: .optional(.string),
                        since: later.row.version))
                return SchemaOffer.Region(
                    later, migrations: [SchemaStep(from: layout.schema.row, to: later.row)])
            })
    }()

    private static let conflicts: [SchemaConflict]? = {
        var other = Samples.layouts[0].schema
        other.row.fields[0].name += "x"
        do throws(SchemaConflicts) {
            _ = try SchemaResolution(writer: Samples.layouts[0].schema, reader: other)
            return nil
        } catch {
            return error.conflicts
        }
    }()
}
