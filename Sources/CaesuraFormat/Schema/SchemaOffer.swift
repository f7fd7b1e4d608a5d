/// What a program says about its schemas before state is moved: `docs/SCHEMAS.md`, "Negotiation".
public struct SchemaOffer: Hashable, Sendable {
    /// What a program says about a region.
    public struct Region: Hashable, Sendable {
        /// The schema that its rows are stored under: what the program writes.
        public var written: RegionSchema
        /// The schema of its Swift type: what the program reads.
        public var read: RegionSchema
        /// The versions that it reads by code.
        public var migrations: [SchemaStep]

        /// Creates the offer of a region.
        ///
        /// - Parameter read: The schema that is written unless told.
        public init(
            _ written: RegionSchema, reading read: RegionSchema? = nil,
            migrations: [SchemaStep] = []
        ) {
            self.written = written
            self.read = read ?? written
            self.migrations = migrations
        }

        /// How the program reads data of a schema.
        ///
        /// - Throws: All differences that are in the way.
        public func path(from data: RegionSchema) throws(SchemaConflicts) -> ReadingPath {
            try ReadingPath(from: data, to: read, through: migrations)
        }
    }

    /// The regions; no name is there twice.
    public var regions: [Region]

    /// Creates an offer.
    public init(_ regions: [Region]) { self.regions = regions }

    /// Creates the offer of a program that reads what it writes, and has no migrations.
    public init(of schemas: [RegionSchema]) { regions = schemas.map { Region($0) } }
}
