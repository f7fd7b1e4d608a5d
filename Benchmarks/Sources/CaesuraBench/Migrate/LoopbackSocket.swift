import Foundation

/// A TCP socket of the loopback device, with calls that block.
final class LoopbackSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// One that listens, at a free port.
    static func listening() throws -> LoopbackSocket {
        let socket = try LoopbackSocket.new()
        guard withAddress(port: 0, { bind(socket.descriptor, $0, $1) }) == 0,
            listen(socket.descriptor, 16) == 0
        else { throw Failure("cannot listen on the loopback device") }
        return socket
    }

    /// One that is connected to a port.
    static func connected(to port: UInt16) throws -> LoopbackSocket {
        let socket = try LoopbackSocket.new()
        guard withAddress(port: port, { connect(socket.descriptor, $0, $1) }) == 0 else {
            throw Failure("nobody listens at port \(port)")
        }
        return socket
    }

    private static func new() throws -> LoopbackSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("no socket") }
        return LoopbackSocket(descriptor)
    }

    private static func withAddress(
        port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Where it listens.
    var port: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// The next that connects; nil once it is ended.
    func accepted() -> LoopbackSocket? {
        let other = accept(descriptor, nil, nil)
        guard other >= 0 else { return nil }
        // What is small is not kept back until it is more.
        var one: Int32 = 1
        setsockopt(
            other, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        return LoopbackSocket(other)
    }

    /// Reads what there is, and waits for it; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        max(0, recv(descriptor, buffer.baseAddress, buffer.count, 0))
    }

    /// Writes all of it.
    ///
    /// - Returns: Whether that was so.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = send(
                descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
        return true
    }

    /// Ends it in both directions, and whoever waits for it.
    func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Ends the output; the other side reads to the end.
    func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }
}
