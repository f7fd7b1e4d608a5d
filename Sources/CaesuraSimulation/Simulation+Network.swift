import CaesuraFormat
import CaesuraMigration
import CaesuraNode

/// Connections between nodes.
extension Simulation {
    func pair(_ a: Int, _ b: Int) -> [Int] { [min(a, b), max(a, b)] }

    private func delay(_ a: Int, _ b: Int) -> Duration {
        let base = microseconds(30..<300)
        guard let slow = delays[pair(a, b)], slow.until > agenda.now else { return base }
        return base + slow.delay
    }

    func dial(_ name: String, _ process: SimulatedProcess) {
        guard let index = (0..<plan.nodes).first(where: { self.name($0) == name }) else { return }
        schedule(after: delay(process.index, index)) { [self] in
            let isCut = (partitions[pair(process.index, index)] ?? .zero) > agenda.now
            guard let peer = processes[index], !isCut, peer.index != process.index else {
                return schedule(after: .milliseconds(isCut ? 1_000 : 1), by: process) { [self] in
                    let problem = MigrationProblem(.timedOut, "no connection")
                    handle(.notDialled(name, problem), process)
                }
            }
            open(from: process, to: peer)
        }
    }

    private func open(from process: SimulatedProcess, to peer: SimulatedProcess) {
        lastNumber += 2
        let links = (Node.Link(number: lastNumber - 1), Node.Link(number: lastNumber))
        let connection = SimulatedConnection(
            SimulatedConnection.End(
                node: process.index, process: process.number, link: links.0),
            SimulatedConnection.End(node: peer.index, process: peer.number, link: links.1))
        guard process.isAlive else { return }
        connections.append(connection)
        process.links[links.0] = (connection, true)
        peer.links[links.1] = (connection, false)
        process.peers[links.0] = peer.index
        peer.peers[links.1] = process.index
        let names: Set = [name(process.index)]
        schedule(after: .zero, by: peer) { [self] in
            guard connection[false].isOpen else { return }
            handle(.accepted(links.1, names: names), peer)
        }
        let name = name(peer.index)
        let time = delay(process.index, peer.index)
        // Nothing is read before the connection is there.
        connection[false].arrival = agenda.now + time
        schedule(after: time, by: process) { [self] in
            guard connection[true].isOpen else {
                let problem = MigrationProblem(.timedOut, "the connection was closed at once")
                return handle(.notDialled(name, problem), process)
            }
            handle(.dialled(name, links.0), process)
            handle(.roundTrip(links.0, .microseconds(200)), process)
        }
    }

    func send(
        _ message: MigrationMessage, _ move: UInt64, over link: Node.Link,
        _ process: SimulatedProcess
    ) {
        guard let (connection, isOpener) = process.links[link] else { return }
        var writer = ByteWriter()
        message.encode(about: move, into: &writer)
        var frame = unsafe Array(writer.bytes)
        let way = [process.index, connection[!isOpener].node]
        if var bits = flips[way], !bits.isEmpty {
            let bit = Int(bits.removeFirst()) % (frame.count * 8)
            flips[way] = bits
            frame[bit / 8] ^= 1 << UInt8(bit % 8)
            hasDamaged = true
            countHits(of: .bitFlip, onFrameAbout: move, over: connection)
        }
        if case .chunk = message, plan.mistake == .sendsChunkTwice { frame += frame }
        if let count = duplicates[way], count > 0 {
            duplicates[way] = count - 1
            frame += frame
            hasDamaged = true
            countHits(of: .duplicate, onFrameAbout: move, over: connection)
        }
        // A gigabyte a second.
        let time = delay(way[0], way[1]) + .nanoseconds(frame.count)
        let arrival = max(connection[isOpener].arrival, agenda.now + time)
        connection[isOpener].arrival = arrival
        if connection.isHalfOpen { return }
        guard let peer = processes[way[1]], peer.number == connection[!isOpener].process else {
            return
        }
        schedule(after: arrival - agenda.now, by: peer) { [self] in
            guard !connection.isHalfOpen else { return }
            deliver(frame, connection, !isOpener, peer)
        }
    }

    private func deliver(
        _ frame: [UInt8], _ connection: SimulatedConnection, _ isOpener: Bool,
        _ process: SimulatedProcess
    ) {
        let end = connection[isOpener]
        guard end.isOpen, process.links[end.link] != nil else { return }
        note(
            "\(name(end.node)) gets \(frame.count) bytes", UInt64(end.node), UInt64(frame.count))
        switch end.reader.push(frame) {
        case .success(let messages):
            for (move, message) in messages {
                handle(.received(end.link, move: move, message), process)
            }
        case .failure(let error):
            if !hasDamaged { fail("a frame cannot be read: \(error)") }
            process.links[end.link] = nil
            connection[isOpener].isOpen = false
            handle(.closed(end.link), process)
            close(connection, !isOpener, after: microseconds(50..<500))
        }
    }

    /// Tells an end, after a while, that its connection is gone.
    func close(_ connection: SimulatedConnection, _ isOpener: Bool, after time: Duration) {
        let end = connection[isOpener]
        guard end.isOpen, let process = processes[end.node], process.number == end.process else {
            return
        }
        schedule(after: time, by: process) { [self] in
            guard connection[isOpener].isOpen else { return }
            connection[isOpener].isOpen = false
            process.links[end.link] = nil
            handle(.closed(end.link), process)
        }
    }

    private func connections(_ a: Int, _ b: Int) -> [SimulatedConnection] {
        connections.filter { pair($0[true].node, $0[false].node) == pair(a, b) }
    }

    /// Whether there is a connection between two nodes.
    func isConnected(_ a: Int, _ b: Int) -> Bool {
        connections(a, b).contains { $0[true].isOpen && $0[false].isOpen && !$0.isHalfOpen }
    }

    // MARK: Faults

    /// Closes a process's connections on their other sides: nothing has come from it for too long.
    func forsake(_ process: SimulatedProcess) {
        for connection in connections {
            for isOpener in [true, false]
            where connection[isOpener].process == process.number && connection[isOpener].isOpen {
                close(connection, !isOpener, after: .zero)
                close(connection, isOpener, after: .zero)
            }
        }
    }

    func disconnect(_ a: Int, _ b: Int) {
        for connection in connections(a, b) {
            connection.isHalfOpen = true
            for isOpener in [true, false] {
                close(connection, isOpener, after: microseconds(50..<5_000))
            }
        }
    }

    func cut(_ a: Int, _ b: Int, for time: Duration) {
        partitions[pair(a, b)] = agenda.now + time
        for connection in connections(a, b) {
            connection.isHalfOpen = true
            for isOpener in [true, false] { close(connection, isOpener, after: Self.silence) }
        }
    }

    func slow(_ a: Int, _ b: Int, by delay: Duration, for time: Duration) {
        delays[pair(a, b)] = (delay, agenda.now + time)
    }
}
