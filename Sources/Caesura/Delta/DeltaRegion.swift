import CaesuraFormat

/// A region that a delta changes.
struct DeltaRegion: Sendable {
    let core: RegionCore
    /// How the delta's chunks hold its rows.
    let layout: RegionLayout
    /// How these become the store's rows; nil if they are.
    let plan: RowPlan?

    /// - Parameters:
    ///   - core: The region.
    ///   - data: The schema of the base, if the store has it in other columns.
    /// - Throws: `schemaMismatch` when code has seen the rows, or their columns are those of no resolution any more.
    init(_ core: RegionCore, resolving data: RegionSchema?) throws(StoreError) {
        self.core = core
        guard let data else {
            layout = try core.chunkLayout()
            plan = nil
            return
        }
        let plan = try RowPlan(from: data, to: core.declared.schema, core.migrations)
        guard plan.resolvesDeltas, plan.stored == core.schema else {
            throw StoreError(
                .schemaMismatch,
                "code has migrated the base's rows of version \(data.row.version), and a delta changes fields of those; "
                    + "restore what the delta leads to", region: data.name)
        }
        do throws(FormatError) {
            layout = try RegionLayout(data)
        } catch {
            throw StoreError(.unsupportedSchema, error.message, region: data.name)
        }
        self.plan = plan
    }
}
