public import Caesura

/// The two kinds of internet address.
public enum AddressFamily: UInt8, SchemaEnum, TableKey {
    case ipv4 = 4
    case ipv6 = 6
}

/// An IPv4 or IPv6 address as two integers, so that a column of them packs well.
///
///     IPv4   high = 0                    low = the 32 bits
///     IPv6   high = the first 64 bits    low = the last 64 bits
///
/// `::1.2.3.4` and `1.2.3.4` have the same bits and differ in their family.
@Schema("address")
public struct IPAddress: TableKey {
    /// Which kind of address the bits are.
    @Field(1) public var family: AddressFamily
    /// The first 64 bits of an IPv6 address; 0 for IPv4.
    @Field(2) public var high: UInt64
    /// The last 64 bits of an IPv6 address, or the 32 bits of an IPv4 address.
    @Field(3) public var low: UInt64

    /// Creates an IPv4 address from its 32 bits, the first octet highest.
    public init(ipv4 bits: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(bits)
    }

    /// Creates an IPv6 address from its two halves.
    public init(ipv6High high: UInt64, low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    /// The number of bits an address of this family has, and so the longest prefix.
    public var bitWidth: UInt8 { family == .ipv4 ? 32 : 128 }

    /// The 16-bit group at `index`, 0 to 7, of an IPv6 address.
    func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
    }
}

/// A block of addresses: those that share their first `length` bits.
///
/// Bits behind `length` are kept as the router sent them.
@Schema("prefix")
public struct Prefix: TableKey {
    /// The block's first address.
    @Field(1) public var address: IPAddress
    /// Bits that count, at most the family's width.
    @Field(2) public var length: UInt8

    /// Creates a prefix.
    public init(address: IPAddress, length: UInt8) {
        precondition(length <= address.bitWidth, "a prefix is no longer than its address")
        self.address = address
        self.length = length
    }
}
