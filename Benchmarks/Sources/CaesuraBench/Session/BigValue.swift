import Caesura

/// A row with a value of many megabytes.
@Schema("bigValue")
struct BigValue {
    @Field(1) var number: UInt32
    @Field(2) var content: [UInt8]
}
