public import CaesuraFormat

/// Compares a program's schemas with all that shipped before: `docs/SCHEMAS.md`, "Checking".
public struct SchemaCheck: Sendable {
    /// How much a problem matters.
    public enum Severity: String, Codable, Sendable {
        /// It must not ship.
        case error
        /// It may, if somebody has thought about it.
        case warning
        /// It is only told.
        case note
    }

    /// What the check does not like.
    public struct Problem: Hashable, Codable, Sendable {
        /// How much it matters.
        public var severity: Severity
        /// The rule, by its name in `docs/SCHEMAS.md`.
        public var rule: String
        /// The region.
        public var region: String
        /// The names from the row to the field; nil when the whole region is meant.
        public var field: String?
        /// The version of the lock that it is about.
        public var version: UInt32?
        /// What is wrong.
        public var message: String
        /// What to do.
        public var hint: String

        /// The region and the field, joined with full stops.
        public var place: String { field.map { "\(region).\($0)" } ?? region }
    }

    /// What was found, by region and version.
    public private(set) var problems: [Problem] = []

    /// Whether nothing must keep it from shipping.
    public var isGood: Bool { !problems.contains { $0.severity == .error } }

    /// Compares schemas of a program that has no migrations.
    public init(
        _ schemas: [RegionSchema], against lock: SchemaLock, rollback: Severity = .warning
    ) {
        self.init(SchemaOffer(of: schemas), against: lock, rollback: rollback)
    }

    /// Compares.
    ///
    /// - Parameters:
    ///   - program: The program's schemas, and the migrations that it has for its data.
    ///   - lock: What shipped before.
    ///   - rollback: What it is that the newest version in the lock cannot read what this program writes: so an older
    ///     program cannot take over again.
    public init(_ program: SchemaOffer, against lock: SchemaLock, rollback: Severity = .warning) {
        for region in program.regions.sorted(by: { $0.read.name < $1.read.name }) {
            let schema = region.read
            guard let versions = lock.regions[schema.name], let newest = versions.last?.schema
            else {
                note(
                    .note, "L5", schema, version: nil, "region \(schema.name) is new",
                    "caesura schema lock adds it when it ships")
                continue
            }
            checkVersion(schema, newest)
            for version in versions {
                if version.isReadable {
                    checkReading(version.schema, by: region)
                    checkPromises(version.schema, schema)
                }
                checkNames(version.schema, schema)
            }
            checkRollback(schema, newest, rollback)
            checkDefaults(newest, schema)
            checkDeprecation(newest, schema)
        }
        let names = Set(program.regions.map(\.read.name))
        for schema in lock.newest where !names.contains(schema.name) {
            note(
                .warning, "L3", schema, version: schema.row.version,
                "region \(schema.name) shipped, and is not among the program's",
                "declare it as long as data may have it: a store keeps regions that it does not know as they are"
            )
        }
    }

    private mutating func note(
        _ severity: Severity, _ rule: String, _ region: RegionSchema, field: String? = nil,
        version: UInt32?, _ message: String, _ hint: String
    ) {
        let problem = Problem(
            severity: severity, rule: rule, region: region.name, field: field, version: version,
            message: message, hint: hint)
        if !problems.contains(problem) { problems.append(problem) }
    }

    private mutating func checkVersion(_ schema: RegionSchema, _ newest: RegionSchema) {
        let (now, before) = (schema.row.version, newest.row.version)
        if now < before {
            note(
                .error, "L2", schema, version: before,
                "version \(before) has shipped, and the program's is \(now)",
                "raise the version of \(schema.row.name) to \(before + 1)")
        } else if now == before, schema != newest {
            note(
                .error, "L2", schema, version: before,
                "version \(now) has shipped with another schema",
                "raise the version of \(schema.row.name) to \(before + 1)")
        } else if now > before {
            note(
                .note, "L5", schema, version: before, "version \(now) has not shipped",
                "caesura schema lock adds it when it does")
        }
    }

    private mutating func checkReading(_ data: RegionSchema, by program: SchemaOffer.Region) {
        if data == program.read { return }
        do throws(SchemaConflicts) {
            _ = try program.path(from: data)
        } catch {
            for conflict in error.conflicts {
                note(
                    .error, conflict.rule.rawValue, program.read, field: conflict.place,
                    version: data.row.version,
                    "data of version \(data.row.version) cannot be read: it has \(conflict.data), the program "
                        + conflict.program, conflict.hint)
            }
        }
    }

    private mutating func checkRollback(
        _ program: RegionSchema, _ newest: RegionSchema, _ severity: Severity
    ) {
        if program == newest || program.row.version < newest.row.version { return }
        do throws(SchemaConflicts) {
            _ = try SchemaResolution(writer: program, reader: newest)
        } catch {
            for conflict in error.conflicts {
                note(
                    severity, "B" + conflict.rule.rawValue.dropFirst(), program,
                    field: conflict.place, version: newest.row.version,
                    "once this version has written, programs of version \(newest.row.version) cannot go on: the data "
                        + "has \(conflict.data), they have \(conflict.program)",
                    Self.wayBack(conflict.rule) + "be sure that nobody goes back")
            }
        }
    }

    /// What keeps the way back open where that is possible, as the beginning of a sentence.
    private static func wayBack(_ rule: SchemaConflict.Rule) -> String {
        switch rule {
        case .missingDefault: "ship a version that gives it a default before this one, or "
        case .otherType: "keep the field beside one of the new type and a new number, or "
        case .unknownCases: "ship a version that gives it a fallback before this one, or "
        default: ""
        }
    }

    // MARK: Fields

    /// A name that another number had means something else in older data.
    private mutating func checkNames(_ old: RegionSchema, _ new: RegionSchema) {
        for (before, now, path) in Self.structs(old.row.fields, new.row.fields, "") {
            for field in now {
                guard
                    let other = before.first(where: {
                        $0.name == field.name && $0.number != field.number
                    })
                else { continue }
                note(
                    .error, "L1", new, field: path + field.name, version: old.row.version,
                    "the name belonged to number \(other.number) in version \(old.row.version), and to number "
                        + "\(field.number) now", "take another name")
            }
        }
    }

    /// A field does not go before the version that was promised for it.
    ///
    /// Of the row's own fields only: the versions of a nested struct are its own, and no schema says which it is at.
    private mutating func checkPromises(_ old: RegionSchema, _ new: RegionSchema) {
        for field in old.row.fields {
            guard let gone = field.deprecation?.gone else { continue }
            let present = new.row.fields.first { $0.number == field.number }
            let promise = "version \(old.row.version) promises the field until version \(gone - 1)"
            if present == nil, new.row.version < gone {
                note(
                    .error, "L6", new, field: field.name, version: old.row.version,
                    "\(promise), and it is gone in version \(new.row.version)",
                    "keep it until then")
            } else if let sooner = present?.deprecation?.gone, sooner < gone {
                note(
                    .error, "L6", new, field: field.name, version: old.row.version,
                    "\(promise), and now it is to go in version \(sooner)",
                    "leave 'gone' at \(gone), or raise it")
            }
        }
    }

    /// Who uses a field is warned before it goes.
    private mutating func checkDeprecation(_ old: RegionSchema, _ new: RegionSchema) {
        for (before, now, path) in Self.structs(old.row.fields, new.row.fields, "") {
            for field in before where field.deprecation == nil {
                if now.contains(where: { $0.number == field.number }) { continue }
                note(
                    .warning, "L7", new, field: path + field.name, version: old.row.version,
                    "it was not deprecated in version \(old.row.version), and is gone",
                    "ship a version in which it is 'deprecated' first, and 'unwritten' if programs run side by side"
                )
            }
        }
    }

    private mutating func checkDefaults(_ old: RegionSchema, _ new: RegionSchema) {
        for (before, now, path) in Self.structs(old.row.fields, new.row.fields, "") {
            for field in now {
                guard let other = before.first(where: { $0.number == field.number }),
                    other.type == field.type, other.defaultValue != field.defaultValue
                else { continue }
                let text = { (value: Value?) in value.map { "\($0)" } ?? "none" }
                note(
                    .warning, "L4", new, field: path + field.name, version: old.row.version,
                    "its default was \(text(other.defaultValue)) and is \(text(field.defaultValue)): rows that were "
                        + "written without the field read differently now",
                    "keep the default, and set what new rows shall have where they are made")
            }
        }
    }

    /// The structs of two schemas that stand for each other, with the path to their fields.
    private static func structs(
        _ old: [Field], _ new: [Field], _ path: String
    ) -> [(old: [Field], new: [Field], path: String)] {
        var found = [(old, new, path)]
        for field in new {
            guard let other = old.first(where: { $0.number == field.number }),
                let before = other.type.members, let now = field.type.members
            else { continue }
            found += structs(before.fields, now.fields, path + field.name + ".")
        }
        return found
    }
}

extension SchemaConflict {
    fileprivate var place: String? { number == nil ? nil : path }
}
