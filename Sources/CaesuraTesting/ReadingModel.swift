package import CaesuraFormat

/// What reading one schema under another must give, worked out on values.
package enum ReadingModel {
    /// A row, key first, of one schema as one of another.
    package static func row(
        _ row: [Value], _ from: RegionSchema, as to: RegionSchema
    ) -> [Value] {
        let keys = from.key?.fields.count ?? 0
        return row[..<keys] + values(Array(row[keys...]), from.row.fields, as: to.row.fields)
    }

    /// The values of fields, from those of other ones.
    package static func values(_ data: [Value], _ from: [Field], as to: [Field]) -> [Value] {
        to.map { field in
            guard let index = from.firstIndex(where: { $0.number == field.number }) else {
                return field.defaultValue ?? .none
            }
            return value(data[index], from[index].type, as: field.type)
        }
    }

    /// A value of one type as one of another.
    package static func value(_ value: Value, _ from: FieldType, as to: FieldType) -> Value {
        switch (from, to) {
        case (.optional(let from), .optional(let to)):
            value == .none ? .none : self.value(value, from, as: to)
        case (_, .optional(let to)): self.value(value, from, as: to)
        case (.scalar, .scalar(let scalar)): converted(value, to: scalar)
        case (.structure(let from, _), .structure(let to, _)):
            if case .structure(let values) = value {
                .structure(self.values(values, from, as: to))
            } else {
                value
            }
        default: value
        }
    }

    /// A scalar as one of another type.
    package static func converted(_ value: Value, to scalar: ScalarType) -> Value {
        switch (value, scalar) {
        case (.uint(let uint), .int8), (.uint(let uint), .int16), (.uint(let uint), .int32),
            (.uint(let uint), .int64), (.uint(let uint), .int128):
            .int(Int128(uint))
        default: value
        }
    }
}
