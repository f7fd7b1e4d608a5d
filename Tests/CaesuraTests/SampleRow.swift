import Caesura

/// A row with one field of each kind: in the row, in the page's heap, optional.
@Schema("sample")
struct SampleRow: Equatable {
    @Field(1) var user: UInt64
    @Field(2) var token: String
    @Field(3) var visits: UInt32
    @Field(4) var note: String?
}
