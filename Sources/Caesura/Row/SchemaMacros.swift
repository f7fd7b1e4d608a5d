// Schemas, fields and values are spelled in code that `@Schema` writes into the user's module, which
// imports this one alone.
@_exported public import CaesuraFormat

/// Makes a plain struct a row, a key or a nested value of a store.
///
///     @Schema("session", version: 2, retired: [5, "country"])
///     struct Session {
///         @Field(1) var user: UInt64
///         @Field(2, .sensitive) var token: String
///         @Field(4, since: 2, formerly: ["hits"]) var visits: UInt32 = 0
///     }
///
/// The struct conforms to ``SchemaStruct``. One that declares ``TableKey`` and `Hashable` can be the
/// key of a table: it also gets the hash of its fields. Every stored property is a field.
///
/// In a closure of a table, `$0` has a property for each field, which reads or writes that field where
/// it lies. A String or `[UInt8]` field `token` also has `withToken { bytes in … }`, which lends its
/// bytes without building the value.
///
/// A field's initial value is also its default in the schema: what a reader uses for rows that were
/// written without the field. It must be the same in every process.
///
/// - Parameters:
///   - name: The name people see: letters, digits and `_`.
///   - version: Grows by one with each change that ships.
///   - retired: Numbers and names of removed fields, which must not come back with another meaning.
@attached(extension, conformances: SchemaStruct, DeprecatingSchemaStruct, names: arbitrary)
@attached(memberAttribute)
public macro Schema(_ name: String, version: Int = 1, retired: [RetiredField] = []) =
    #externalMacro(module: "CaesuraMacros", type: "Schema")

/// Makes a stored property of a ``Schema(_:version:retired:)`` struct a field.
///
/// - Parameters:
///   - number: Identifies the field for ever, from 1 to 65,535; the name may change.
///   - flags: Properties beside the type.
///   - since: The schema version that added the field. After version 1 it needs a default.
///   - formerly: Names that the field had in earlier versions.
///   - deprecated: From this version on the compiler warns who uses the field.
///   - unwritten: From this version on the field is not written: rows that are inserted or set anew have its default,
///     and an update cannot set it. What rows have stays, to be read, until they are set anew.
///   - gone: The version that may retire the field: `caesura schema check` refuses an earlier one.
@attached(peer)
public macro Field(
    _ number: Int, _ flags: CaesuraFormat.Field.Flags..., since: Int = 1, formerly: [String] = [],
    deprecated: Int? = nil, unwritten: Int? = nil, gone: Int? = nil
) = #externalMacro(module: "CaesuraMacros", type: "Field")

/// The form of a value in a page's row, for code that `@Schema` writes.
public typealias StoredForm<Value: FieldValue> = Value.Stored
