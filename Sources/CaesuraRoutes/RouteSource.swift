public import Caesura

/// The kind of MRT record (RFC 6396) a line was made from: its first word.
public enum RouteSource: UInt8, SchemaEnum {
    case tableDump = 1
    case tableDump2 = 2
    case tableDump2AddPath = 3
    case bgp = 4
    case bgp4mp = 5
    case bgp4mpExtended = 6
    case bgp4mpLocal = 7
    case bgp4mpExtendedLocal = 8
    case bgp4mpAddPath = 9
    case bgp4mpExtendedAddPath = 10
    case bgp4mpLocalAddPath = 11
    case bgp4mpExtendedLocalAddPath = 12

    /// The word as `bgpdump -m` prints it.
    public var word: StaticString {
        switch self {
        case .tableDump: "TABLE_DUMP"
        case .tableDump2: "TABLE_DUMP2"
        case .tableDump2AddPath: "TABLE_DUMP2_AP"
        case .bgp: "BGP"
        case .bgp4mp: "BGP4MP"
        case .bgp4mpExtended: "BGP4MP_ET"
        case .bgp4mpLocal: "BGP4MP_LOCAL"
        case .bgp4mpExtendedLocal: "BGP4MP_ET_LOCAL"
        case .bgp4mpAddPath: "BGP4MP_AP"
        case .bgp4mpExtendedAddPath: "BGP4MP_ET_AP"
        case .bgp4mpLocalAddPath: "BGP4MP_LOCAL_AP"
        case .bgp4mpExtendedLocalAddPath: "BGP4MP_ET_LOCAL_AP"
        }
    }

    /// Whether the record is a line of a whole table, not a change to one.
    public var isTable: Bool {
        switch self {
        case .tableDump, .tableDump2, .tableDump2AddPath: true
        default: false
        }
    }

    /// Whether times have microseconds.
    public var hasMicroseconds: Bool {
        switch self {
        case .bgp4mpExtended, .bgp4mpExtendedLocal, .bgp4mpExtendedAddPath,
            .bgp4mpExtendedLocalAddPath:
            true
        default: false
        }
    }

    /// Whether keys have a path id.
    public var hasPathID: Bool {
        switch self {
        case .tableDump2AddPath, .bgp4mpAddPath, .bgp4mpExtendedAddPath, .bgp4mpLocalAddPath,
            .bgp4mpExtendedLocalAddPath:
            true
        default: false
        }
    }
}
