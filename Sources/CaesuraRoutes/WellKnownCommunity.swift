/// A community whose meaning RFC 1997 fixes and whose name bgpdump prints.
enum WellKnownCommunity: UInt32, CaseIterable {
    case noExport = 0xFFFF_FF01
    case noAdvertise = 0xFFFF_FF02
    case localAS = 0xFFFF_FF03

    /// The name as bgpdump prints it.
    var word: StaticString {
        switch self {
        case .noExport: "no-export"
        case .noAdvertise: "no-advertise"
        case .localAS: "local-AS"
        }
    }
}
