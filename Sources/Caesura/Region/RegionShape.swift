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
    /// Frees what `pageLayout` points at, with the last copy of the shape.
    private let memory: LayoutMemory

    /// The shape of a region as it is declared.
    init(_ schema: RegionSchema, _ layout: RowLayout, keeping kept: KeptFields? = nil) {
        self.schema = schema
        leaves = schema.leaves
        regionLayout = try? RegionLayout(schema)
        self.layout = layout
        self.kept = kept
        pageLayout = PageLayout(layout, keeping: kept)
        memory = LayoutMemory(pageLayout)
    }

    /// The shape in which a region that is declared as this stores what came under another schema.
    ///
    /// - Parameter stored: What its rows are stored under: ``SchemaResolution/stored``.
    /// - Throws: `unsupportedSchema` when pages cannot hold such rows.
    func storing(_ stored: RegionSchema) throws(StoreError) -> RegionShape {
        if stored == schema { return self }
        let (layout, kept) = layout.keeping(from: schema, to: stored)
        try TableCore.check(stored, layout)
        if kept?.hasTooManyScopes == true {
            throw StoreError(
                .unsupportedSchema,
                "more than \(KeptFields.scopeLimit) optional structs have fields that this program does not know",
                region: stored.name)
        }
        return RegionShape(stored, layout, keeping: kept)
    }
}

/// The shapes of a region.
struct RegionShapes {
    /// The shape as the region was declared.
    let declared: RegionShape
    /// What the rows are now, and how they lie in pages.
    private(set) var present: RegionShape
    /// All that it had: rows may be on their way to it that were made for one.
    private var all: [RegionShape]

    init(_ declared: RegionShape) {
        self.declared = declared
        present = declared
        all = [declared]
    }

    /// Makes another shape, which `declared` gave, the present one.
    mutating func take(_ new: RegionShape) {
        if new.schema != declared.schema { all.append(new) }
        present = new
    }
}

/// What a page layout points at.
private final class LayoutMemory: Sendable {
    private let layout: PageLayout

    init(_ layout: PageLayout) { self.layout = layout }

    deinit { layout.deallocate() }
}
