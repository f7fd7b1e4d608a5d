/// A struct with deprecated fields, for code that `@Schema` writes.
///
/// That code must use the fields without a warning. The compiler gives none where a deprecated member is used through a
/// protocol that it is a witness of.
public protocol DeprecatingSchemaStruct: SchemaStruct {
    /// The values of the deprecated fields.
    associatedtype _DeprecatedFields
    /// The values of the deprecated fields.
    var _deprecatedFields: _DeprecatedFields { get }
    /// Loads a row.
    init(_stored: Stored, heap: HeapView)
}

extension DeprecatingSchemaStruct {
    /// The values of the deprecated fields.
    @inlinable public static func _deprecatedFields(of value: borrowing Self) -> _DeprecatedFields {
        value._deprecatedFields
    }

    /// Loads a row.
    @inlinable public static func _load(_ stored: Stored, from heap: HeapView) -> Self {
        Self(_stored: stored, heap: heap)
    }
}
