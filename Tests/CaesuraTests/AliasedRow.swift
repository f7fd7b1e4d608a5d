import Caesura

typealias Small = UInt8
typealias Big = UInt128

/// Fields whose types' names say nothing of their width: nearly twice as wide as by their own names.
@Schema("aliased")
struct AliasedRow: Equatable {
    @Field(1) var small0: Small
    @Field(2) var big0: Big
    @Field(3) var small1: Small
    @Field(4) var big1: Big
    @Field(5) var small2: Small
    @Field(6) var big2: Big
    @Field(7) var small3: Small
    @Field(8) var big3: Big
    @Field(9) var small4: Small
    @Field(10) var big4: Big
    @Field(11) var small5: Small
    @Field(12) var big5: Big
    @Field(13) var small6: Small
    @Field(14) var big6: Big
    @Field(15) var small7: Small
    @Field(16) var big7: Big
    @Field(17) var small8: Small
    @Field(18) var big8: Big
    @Field(19) var small9: Small
    @Field(20) var big9: Big
    @Field(21) var small10: Small
    @Field(22) var big10: Big
    @Field(23) var small11: Small
    @Field(24) var big11: Big
    @Field(25) var small12: Small
    @Field(26) var big12: Big
    @Field(27) var small13: Small
    @Field(28) var big13: Big
    @Field(29) var small14: Small
    @Field(30) var big14: Big
    @Field(31) var small15: Small
    @Field(32) var big15: Big

    init(_ number: UInt64) {
        small0 = UInt8(truncatingIfNeeded: number)
        big0 = UInt128(number)
        small1 = UInt8(truncatingIfNeeded: number)
        big1 = UInt128(number)
        small2 = UInt8(truncatingIfNeeded: number)
        big2 = UInt128(number)
        small3 = UInt8(truncatingIfNeeded: number)
        big3 = UInt128(number)
        small4 = UInt8(truncatingIfNeeded: number)
        big4 = UInt128(number)
        small5 = UInt8(truncatingIfNeeded: number)
        big5 = UInt128(number)
        small6 = UInt8(truncatingIfNeeded: number)
        big6 = UInt128(number)
        small7 = UInt8(truncatingIfNeeded: number)
        big7 = UInt128(number)
        small8 = UInt8(truncatingIfNeeded: number)
        big8 = UInt128(number)
        small9 = UInt8(truncatingIfNeeded: number)
        big9 = UInt128(number)
        small10 = UInt8(truncatingIfNeeded: number)
        big10 = UInt128(number)
        small11 = UInt8(truncatingIfNeeded: number)
        big11 = UInt128(number)
        small12 = UInt8(truncatingIfNeeded: number)
        big12 = UInt128(number)
        small13 = UInt8(truncatingIfNeeded: number)
        big13 = UInt128(number)
        small14 = UInt8(truncatingIfNeeded: number)
        big14 = UInt128(number)
        small15 = UInt8(truncatingIfNeeded: number)
        big15 = UInt128(number)
    }
}
