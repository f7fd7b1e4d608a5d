import CaesuraNode
import Foundation

/// A wire between two hosts, each a network namespace with an interface that is an end of it.
///
///     host a ─ interface ─► this process: lost? how late? ─► interface ─ host b
///
/// Packets are lost at random, and come late by times that differ, so that they overtake each other: what `netem` does, which
/// few kernels have. A lane can be cut: the wire then looks as before to both, and nothing comes through.
final class Wire {
    /// The namespaces, and the interfaces in them.
    static let hosts = ["a", "b"]
    static let addresses = ["a": "10.77.0.1", "b": "10.77.0.2"]

    /// Of 1,000 packets, so many are lost.
    static let lossPerMille: UInt64 = 20
    /// How long a packet takes, in seconds.
    static let delay = 0.003...0.007

    /// From the first host to the second, and back.
    let lanes: [Lane]

    /// Makes the hosts and connects them; the process must be ``Apart``, with a network of its own.
    init(seed: UInt64) throws(Apart.Denial) {
        // What names namespaces lies there; that of the system is not to be touched.
        try Apart.run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
        var ends: [Int32] = []
        for host in Self.hosts {
            ends.append(try Self.end(Self.interface(of: host)))
            try Apart.run(["ip", "netns", "add", host])
            try Apart.run([
                "ip", "link", "set", "dev", Self.interface(of: host), "netns", host,
            ])
        }
        for (host, peer) in zip(Self.hosts, Self.hosts.reversed()) {
            let (own, other) = (Self.addresses[host]!, Self.addresses[peer]!)
            try Self.ip(
                host, "address", "add", own, "peer", other, "dev", Self.interface(of: host))
            try Self.ip(host, "link", "set", "lo", "up")
            try Self.set(host, isUp: true)
        }
        lanes = [
            Lane(from: ends[0], to: ends[1], seed: seed),
            Lane(from: ends[1], to: ends[0], seed: ~seed),
        ]
    }

    private static func interface(of host: String) -> String { "wire-\(host)" }

    /// The words before a command that is to run on a host.
    static func on(_ host: String) -> [String] { ["nsenter", "--net=/run/netns/\(host)"] }

    /// Brings the interface of a host up or down.
    static func set(_ host: String, isUp: Bool) throws(Apart.Denial) {
        try ip(host, "link", "set", "dev", interface(of: host), isUp ? "up" : "down")
    }

    private static func ip(_ host: String, _ words: String...) throws(Apart.Denial) {
        try Apart.run(["ip", "-n", host] + words)
    }

    /// An interface whose packets this process has.
    private static func end(_ name: String) throws(Apart.Denial) -> Int32 {
        let path = "/dev/net/tun"
        let descriptor = unsafe open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Apart.Denial(description: "cannot open \(path): errno \(errno)")
        }
        // `struct ifreq`: 16 bytes of the name, then the flags IFF_TUN and IFF_NO_PI; TUNSETIFF.
        var request = Array(name.utf8) + Array(repeating: UInt8(0), count: 40 - name.utf8.count)
        request.replaceSubrange(16..<18, with: [0x01, 0x10])
        // SAFETY: the system reads and writes the 40 bytes of a `struct ifreq`.
        let result = unsafe request.withUnsafeMutableBytes {
            unsafe ioctl(descriptor, 0x4004_54CA, $0.baseAddress!)
        }
        guard result == 0 else {
            throw Apart.Denial(description: "cannot make the interface \(name): errno \(errno)")
        }
        return descriptor
    }
}

extension Wire {
    /// One direction; two threads carry its packets until the process ends.
    final class Lane: @unchecked Sendable {
        /// Packets on the way; what comes then is lost, as by `netem`.
        private static let limit = 1_000

        // `condition` guards all that changes.
        private let condition = NSCondition()
        private var random: SplitMix
        private var isCut = false
        private var counts = (carried: 0, lost: 0)
        /// The earliest first.
        private var packets: [(due: Date, bytes: [UInt8])] = []

        init(from source: Int32, to target: Int32, seed: UInt64) {
            random = SplitMix(seed: seed)
            Thread.detachNewThread { [self] in take(from: source) }
            Thread.detachNewThread { [self] in deliver(to: target) }
        }

        /// The packets that it took so far.
        var packetCounts: (carried: Int, lost: Int) { condition.withLock { counts } }

        /// Lets nothing through, or what comes from now on.
        func cut(_ isCut: Bool) { condition.withLock { self.isCut = isCut } }

        private func take(from source: Int32) -> Never {
            var buffer = Array(repeating: UInt8(0), count: 65_536)
            while true {
                var wanted = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
                _ = unsafe poll(&wanted, 1, -1)
                let count = unsafe read(source, &buffer, buffer.count)
                // An interface that is down has nothing.
                guard count > 0 else {
                    Thread.sleep(forTimeInterval: 0.01)
                    continue
                }
                put(Array(buffer[..<count]))
            }
        }

        private func put(_ bytes: [UInt8]) {
            condition.withLock {
                let isLost = UInt64.random(in: 0..<1_000, using: &random) < Wire.lossPerMille
                let due = Date.now + Double.random(in: Wire.delay, using: &random)
                guard !isCut, !isLost, packets.count < Self.limit else {
                    counts.lost += 1
                    return
                }
                counts.carried += 1
                let index = packets.lastIndex { $0.due <= due }.map { $0 + 1 } ?? 0
                packets.insert((due, bytes), at: index)
            }
            condition.signal()
        }

        private func deliver(to target: Int32) -> Never {
            while true {
                let bytes = next()
                // One that finds the interface down is lost.
                _ = unsafe write(target, bytes, bytes.count)
            }
        }

        /// The next packet, when it is due.
        private func next() -> [UInt8] {
            condition.withLock {
                while true {
                    if let first = packets.first {
                        if first.due <= .now { return packets.removeFirst().bytes }
                        _ = condition.wait(until: first.due)
                    } else {
                        condition.wait()
                    }
                }
            }
        }
    }
}
