import NIOCore
import NIOPosix
import NIOSSL

/// What an error of the network or of TLS means to a caller, as the rest of a sentence about the peer.
func explanation(of error: any Error, isOpening: Bool) -> (TransportError.Code, String) {
    switch error {
    case NIOSSLError.uncleanShutdown:
        return (.closed, "broke the connection off")
    case let error as NIOSSLError
    where error == .handshakeFailed(.sslError([.eofDuringHandshake])):
        return (.closed, "broke the connection off while it was secured")
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
        return isOpening
            ? (
                .unauthenticated,
                "and this node do not take each other's certificates, or one does not speak TLS 1.3: \(reason(in: error))"
            )
            : (.closed, "broke TLS: \(reason(in: error))")
    case ChannelError.connectTimeout:
        return (.timedOut, "did not answer in time")
    default:
        return isOpening
            ? (.unreachable, "cannot be reached: \(error)") : (.closed, "is gone: \(error)")
    }
}

/// The names of errors in what BoringSSL says, without the files that it names.
private func reason(in error: any Error) -> String {
    let words = "\(error)".split { !$0.isASCII || !($0.isUppercase || $0.isNumber || $0 == "_") }
    let names = words.filter { $0.contains("_") && $0.count > 5 }
    return names.isEmpty ? "\(type(of: error))" : names.joined(separator: ", ")
}
