import CaesuraFormat

/// What a region's rows are, and how they lie in pages and chunks.
///
/// It is the declared one until a restore brings rows with fields that the program does not know.
struct RegionShape: Sendable {
    let schema: RegionSchema
    let leaves: [LeafColumn]
    /// How chunks hold its rows; nil for a schema that the format has no place for.
    ///
    /// Kept, because working it out takes longer than to apply a delta of one row.
    let regionLayout: RegionLayout?
    let layout: RowLayout
    let pageLayout: PageLayout
    /// The fields that are kept for others; nil if there are none.
    let kept: KeptFields?

    /// The shape of a region as it is declared.
    init(_ schema: RegionSchema, _ layout: RowLayout, keeping kept: KeptFields? = nil) {
        self.schema = schema
        leaves = schema.leaves
        regionLayout = try? RegionLayout(schema)
        self.layout = layout
        self.kept = kept
        pageLayout = PageLayout(layout, keeping: kept)
    }

    /// The shape in which a region stores what came under another schema.
    ///
    /// - Parameters:
    ///   - declared: The region's own.
    ///   - stored: What its rows are stored under: ``SchemaResolution/stored``.
    /// - Throws: `unsupportedSchema` when pages cannot hold such rows.
    init(_ declared: RegionShape, storing stored: RegionSchema) throws(StoreError) {
        let (layout, kept) = declared.layout.keeping(from: declared.schema, to: stored)
        try TableCore.check(stored, layout)
        if kept?.hasTooManyScopes == true {
            throw StoreError(
                .unsupportedSchema,
                "more than \(KeptFields.scopeLimit) optional structs have fields that this program does not know",
                region: stored.name)
        }
        self.init(stored, layout, keeping: kept)
    }

    func deallocate() { pageLayout.deallocate() }
}
