import CaesuraFormat

extension FuzzTarget {
    /// The input is the coding of a region.
    static let schema = unsafe FuzzTarget(
        name: "schema",
        seeds: {
            Samples.layouts.map { layout in
                var writer = ByteWriter()
                layout.schema.encode(into: &writer)
                return writer.array
            }
        },
        run: { input in
            var reader = unsafe ByteReader(input)
            guard let region = try? RegionSchema(reading: &reader) else { return }
            law((try? region.validate()) != nil, "a schema that was read keeps the rules")
            var writer = ByteWriter()
            region.encode(into: &writer)
            law(
                unsafe writer.bytes.elementsEqual(input[..<reader.position]),
                "a schema has one coding")
            var again = unsafe ByteReader(writer.bytes)
            law((try? RegionSchema(reading: &again)) == region, "a schema comes back as it went")
            law(
                region.leaves.count <= Limits.leavesPerRegion && !region.description.isEmpty,
                "a schema that was read can be used")
            law(
                region.wireFingerprint == region.wireFingerprint
                    && region.resolutionFingerprint == region.resolutionFingerprint,
                "a schema has one fingerprint")
        })
}
