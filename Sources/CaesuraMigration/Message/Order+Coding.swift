import CaesuraFormat

/// Orders and answers as bytes: `docs/MIGRATION.md` section 6.

extension Order {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .show: writer.append(1)
        case .move(let order):
            writer.append(2)
            writer.append(partitions: order.partitions)
            writer.append(string: order.target)
            writer.append(littleEndian: order.budget.wholeNanoseconds)
            switch order.policy {
            case .fail: writer.append(1)
            case .slow(let limit):
                writer.append(2)
                writer.append(littleEndian: limit.wholeNanoseconds)
            case .postcopy: writer.append(3)
            }
        case .stop(let partitions):
            writer.append(3)
            writer.append(partitions: partitions)
        }
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte("an order") {
        case 1: self = .show
        case 2:
            let partitions = try reader.partitions()
            let target = try reader.nodeName()
            let budget = try reader.duration("a budget")
            let policy: SourceMove.Policy
            switch try reader.byte("a policy") {
            case 1: policy = .fail
            case 2: policy = .slow(limit: try reader.duration("the limit of a policy"))
            case 3: policy = .postcopy
            case let other:
                throw reader.error(.unsupported, "policy \(other) is of a newer protocol")
            }
            self = .move(MoveOrder(of: partitions, to: target, budget: budget, policy: policy))
        case 3: self = .stop(try reader.partitions())
        case let other: throw reader.error(.unsupported, "order \(other) is of a newer protocol")
        }
    }
}

extension Answer {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .done(nil): writer.append(0)
        case .done(let problem?):
            writer.append(1)
            problem.encode(into: &writer)
        case .holds(let status):
            writer.append(2)
            writer.append(littleEndian: status.partition.rawValue)
            writer.append(status.holding.rawValue)
            writer.append(status.entry == nil ? 0 : 1)
            status.entry?.encode(into: &writer)
        case .moves(let status):
            writer.append(3)
            status.encode(into: &writer)
        case .handedOver(let partition, let entry, let blackout):
            writer.append(4)
            writer.append(littleEndian: partition.rawValue)
            entry.encode(into: &writer)
            writer.append(littleEndian: blackout.wholeNanoseconds)
        case .ended(let end):
            writer.append(5)
            end.encode(into: &writer)
        }
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        switch try reader.byte("an answer") {
        case 0: self = .done(nil)
        case 1: self = .done(try MigrationProblem(reading: &reader))
        case 2:
            let partition = try reader.partition()
            let number = try reader.byte("what a node has")
            guard let holding = PartitionStatus.Holding(rawValue: number) else {
                throw reader.error(.unsupported, "holding \(number) is of a newer protocol")
            }
            let hasEntry = try reader.flag("whether there is an entry")
            self = .holds(
                PartitionStatus(
                    partition, holding, hasEntry ? try OwnerEntry(reading: &reader) : nil))
        case 3: self = .moves(try MoveStatus(reading: &reader))
        case 4:
            self = .handedOver(
                try reader.partition(), try OwnerEntry(reading: &reader),
                blackout: try reader.duration("a blackout"))
        case 5: self = .ended(try MoveEnd(reading: &reader))
        case let other: throw reader.error(.unsupported, "answer \(other) is of a newer protocol")
        }
    }
}

extension MoveStatus {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: partition.rawValue)
        writer.append(string: target)
        writer.append(stage.rawValue)
        writer.append(littleEndian: round)
        writer.append(littleEndian: sentBytes)
        writer.append(littleEndian: pendingBytes)
        writer.append(optional: dirtyBytesPerSecond)
        writer.append(optional: appliedBytesPerSecond)
        writer.append(optional: prediction?.wholeNanoseconds)
    }

    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        self.init(try reader.partition(), to: try reader.nodeName())
        let number = try reader.byte("the stage of a move")
        guard let stage = Stage(rawValue: number) else {
            throw reader.error(.unsupported, "stage \(number) is of a newer protocol")
        }
        self.stage = stage
        round = try reader.integer(UInt32.self, "the number of a round")
        sentBytes = try reader.integer(UInt64.self, "a number of bytes")
        pendingBytes = try reader.integer(UInt64.self, "a number of bytes")
        dirtyBytesPerSecond = try reader.optional("a rate")
        appliedBytesPerSecond = try reader.optional("a rate")
        if let value = try reader.optional("a blackout") {
            prediction = try reader.duration(of: value, "a blackout")
        }
    }
}

extension MoveEnd {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.append(littleEndian: partition.rawValue)
        writer.append(string: target)
        switch outcome {
        case .moved(let entry):
            writer.append(1)
            entry.encode(into: &writer)
        case .givenUp(let problem):
            writer.append(2)
            problem.encode(into: &writer)
        case .aborted(let entry, let problem):
            writer.append(3)
            entry.encode(into: &writer)
            problem.encode(into: &writer)
        case .overtaken(let entry):
            writer.append(4)
            entry.encode(into: &writer)
        }
        writer.append(littleEndian: cost.rounds)
        writer.append(littleEndian: cost.sentBytes)
        writer.append(littleEndian: cost.duration.wholeNanoseconds)
        writer.append(littleEndian: cost.blackout.wholeNanoseconds)
    }

    fileprivate init(reading reader: inout ByteReader) throws(FormatError) {
        let partition = try reader.partition()
        let target = try reader.nodeName()
        let outcome: SourceMove.Outcome
        switch try reader.byte("the outcome of a move") {
        case 1: outcome = .moved(try OwnerEntry(reading: &reader))
        case 2: outcome = .givenUp(try MigrationProblem(reading: &reader))
        case 3:
            outcome = .aborted(
                try OwnerEntry(reading: &reader), try MigrationProblem(reading: &reader))
        case 4: outcome = .overtaken(try OwnerEntry(reading: &reader))
        case let other: throw reader.error(.unsupported, "outcome \(other) is of a newer protocol")
        }
        self.init(
            partition, to: target, outcome,
            MoveCost(
                rounds: try reader.integer(UInt32.self, "a number of rounds"),
                sentBytes: try reader.integer(UInt64.self, "a number of bytes"),
                duration: try reader.duration("a duration"),
                blackout: try reader.duration("a blackout")))
    }
}

extension ByteWriter {
    fileprivate mutating func append(partitions: [PartitionNumber]) {
        precondition(partitions.count <= Order.partitionLimit, "an order that nobody takes")
        append(varint: UInt64(partitions.count))
        for partition in partitions { append(littleEndian: partition.rawValue) }
    }

    /// A number, or all ones for none.
    fileprivate mutating func append(optional value: UInt64?) {
        append(littleEndian: value ?? .max)
    }
}

extension ByteReader {
    fileprivate mutating func partitions() throws(FormatError) -> [PartitionNumber] {
        let count = try varint(upTo: Order.partitionLimit, "a number of partitions")
        var partitions: [PartitionNumber] = []
        for _ in 0..<count { partitions.append(try partition()) }
        return partitions
    }

    fileprivate mutating func optional(_ what: String) throws(FormatError) -> UInt64? {
        let value = try integer(UInt64.self, what)
        return value == .max ? nil : value
    }

    /// A time in nanoseconds: up to 2^63, some 292 years.
    fileprivate mutating func duration(_ what: String) throws(FormatError) -> Duration {
        try duration(of: integer(UInt64.self, what), what)
    }

    fileprivate func duration(of value: UInt64, _ what: String) throws(FormatError) -> Duration {
        guard let nanoseconds = Int64(exactly: value) else {
            throw error(.malformed, "\(what) of \(value) ns")
        }
        return .nanoseconds(nanoseconds)
    }
}

extension Duration {
    /// Whole nanoseconds, not less than 0 and at most 2^63 - 1.
    fileprivate var wholeNanoseconds: UInt64 {
        UInt64(max(0, Int64(clamping: attoseconds / 1_000_000_000)))
    }
}
