import Caesura

/// An optional inside an optional.
@Schema("nested")
struct Nested: Equatable {
    @Field(1) var outer: Inner?
}

@Schema("inner")
struct Inner: Equatable {
    @Field(1) var value: UInt8?
}
