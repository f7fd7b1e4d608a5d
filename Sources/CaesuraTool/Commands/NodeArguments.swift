import ArgumentParser
import CaesuraMigration
import CaesuraNodeService
import CaesuraRepository
import CaesuraTransport

/// How a command that talks to nodes finds them, and who it is.
struct NodeArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The directory of the owner register, which all nodes share.", valueName: "directory"))
    var owners: String
    @Option(
        help: ArgumentHelp(
            "PEM file: the certificate, and those between it and the root.", valueName: "file"))
    var certificate: String?
    @Option(help: ArgumentHelp("PEM file: the certificate's key.", valueName: "file"))
    var key: String?
    @Option(
        help: ArgumentHelp(
            "PEM file: the authorities whose signatures are believed.", valueName: "file"))
    var trust: String?
    @Flag(help: "No TLS and no certificates: whoever reaches a port is believed. For one machine.")
    var insecure = false

    mutating func validate() throws {
        let papers = [certificate, key, trust]
        if insecure, papers.contains(where: { $0 != nil }) {
            throw ValidationError("--insecure uses no certificate: leave one of them out")
        }
        if !insecure, papers.contains(nil) {
            throw ValidationError(
                "nodes know each other by certificates: give --certificate, --key and --trust, or --insecure"
            )
        }
    }

    /// Who this program is, and whom it believes.
    var security: TransportSecurity {
        get throws(TransportError) {
            guard let certificate, let key, let trust else { return .insecure }
            return .mutualTLS(
                try NodeIdentity(
                    certificateChainFile: certificate, keyFile: key, trustRootsFile: trust))
        }
    }

    /// Where a node is.
    func address(of node: String) async throws -> NetworkAddress {
        let book = try await DirectoryAddressBook(owners)
        guard let address = try await book.addresses(of: node)?.node else {
            throw ToolError(
                "no node \(node) has ever run with the register in \(owners)",
                hint: "start it with caesura node --name \(node) --owners \(owners)")
        }
        return address
    }

    /// Connects to a node, to give it orders.
    func connect(to node: String) async throws -> NodeOperator {
        try await NodeOperator(of: node, at: address(of: node), security: security)
    }
}

/// A time as it is typed: `500us`, `1ms`, `2s`.
struct ShortTime: ExpressibleByArgument, Equatable {
    var duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), count <= 1_000_000_000 else { return nil }
        switch argument.dropFirst(digits.count) {
        case "us": duration = .microseconds(count)
        case "ms": duration = .milliseconds(count)
        case "s": duration = .seconds(count)
        default: return nil
        }
    }

    var defaultValueDescription: String {
        let microseconds = Int64(duration / .microseconds(1))
        if microseconds % 1_000_000 == 0 { return "\(microseconds / 1_000_000)s" }
        return microseconds % 1_000 == 0 ? "\(microseconds / 1_000)ms" : "\(microseconds)us"
    }
}

extension PartitionNumber {
    /// The hexadecimal digits, without leading zeros.
    var short: String { String(rawValue, radix: 16) }

    /// Partitions as they are typed: hexadecimal numbers with commas between.
    static func list(_ text: String) throws -> [PartitionNumber] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { digits in
            guard let number = UInt64(digits, radix: 16), number < 1 << 17 else {
                throw ValidationError(
                    "'\(digits)' is no partition: they are hexadecimal numbers, as caesura partitions prints them"
                )
            }
            return PartitionNumber(rawValue: number)
        }
    }
}

extension NetworkAddress {
    /// An address as it is typed: `10.0.0.1:7400`, `[::1]:7400`.
    static func typed(_ text: String) throws -> NetworkAddress {
        guard let address = NetworkAddress(text) else {
            throw ValidationError("'\(text)' is no host and port, as in 10.0.0.1:7400")
        }
        return address
    }
}

extension ToolError {
    /// Why a connection came to nothing.
    init(_ error: TransportError) {
        let hint: String? =
            switch error.code {
            case .unreachable: "see whether the node runs, and whether its address can be reached"
            case .unauthenticated: "both sides need certificates of one authority, with their names"
            default: nil
            }
        self.init(error.message, hint: hint)
    }

    /// Why the register, or the address book, could not be used.
    init(_ error: OwnerRegisterError) {
        self.init(error.message, exitCode: error.code == .damaged ? .damage : .failure)
    }
}
