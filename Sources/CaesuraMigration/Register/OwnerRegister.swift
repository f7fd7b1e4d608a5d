public import CaesuraFormat

/// A partition of a node's state, as the owner register names it: `docs/MIGRATION.md` section 2.
public struct PartitionNumber: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 2 to the power b, and which of the 2 to the power b hash ranges it is; 0 for logs and cells.
    public let rawValue: UInt64

    /// The partition of a number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The rows of all tables whose hashes are in a range.
    ///
    /// - Parameters:
    ///   - index: Which of the ranges, from 0.
    ///   - bits: There are 2 to the power `bits` of them; at most 16.
    public init(index: Int, bits: Int) {
        precondition((0...16).contains(bits), "a node has at most 65,536 partitions")
        precondition((0..<1 << bits).contains(index), "there is no such partition")
        rawValue = 1 << UInt64(bits) | UInt64(index)
    }

    /// The logs and cells of a store.
    public static let unkeyed = PartitionNumber(rawValue: 0)

    /// Sixteen hexadecimal digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Orders by number.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Who owns a partition from some moment on: `docs/MIGRATION.md` section 3.
public struct OwnerEntry: Hashable, Sendable {
    /// Its place in the partition's sequence, from 1.
    public let number: UInt64
    /// The node that owns the partition: 1 to 255 bytes of UTF-8.
    public let owner: String
    /// The fencing epoch under which it serves.
    public let fencingEpoch: UInt64
    /// The number of the entry from which on this owner has had the partition: of its creation, a commit or a takeover.
    public let tenure: UInt64
    /// The tenure before, whose owner's rows came to this one; 0 if there is none.
    public let previousTenure: UInt64

    /// The longest name of a node, in bytes of UTF-8.
    public static let ownerLimit = 255
    /// Numbers and fencing epochs are below this: whoever counts up to it has miscounted.
    public static let limit: UInt64 = 1 << 62

    /// Why a partition has another owner.
    public enum Change: UInt64, Sendable, CaseIterable {
        /// A move has come to its end.
        case commit = 1
        /// A move was given up; the owner stays.
        case abort = 2
        /// The owner is lost.
        case takeover = 3
    }

    /// The first entry of a partition.
    ///
    /// - Throws: `malformed` when the owner's name is empty or too long.
    public init(creating owner: String) throws(OwnerRegisterError) {
        try self.init(number: 1, owner: owner, fencingEpoch: 1, tenure: 1, previousTenure: 0)
    }

    /// The entry that is to follow another.
    ///
    /// - Throws: `malformed` when the owner's name is empty or too long, or an abort is to change the owner.
    public init(
        _ change: Change, of last: OwnerEntry, to owner: String
    ) throws(OwnerRegisterError) {
        guard change != .abort || owner == last.owner else {
            throw OwnerRegisterError(
                .malformed, "an abort leaves a partition with its owner, and does not give it away")
        }
        try self.init(
            number: last.number + 1, owner: owner,
            fencingEpoch: last.fencingEpoch + change.rawValue,
            tenure: change == .abort ? last.tenure : last.number + 1,
            previousTenure: change == .abort ? last.previousTenure : last.tenure)
    }

    /// An entry as a register has it.
    ///
    /// - Throws: `malformed` when it is none that a register has.
    public init(
        number: UInt64, owner: String, fencingEpoch: UInt64, tenure: UInt64, previousTenure: UInt64
    ) throws(OwnerRegisterError) {
        guard (1...Self.ownerLimit).contains(owner.utf8.count) else {
            throw OwnerRegisterError(
                .malformed,
                "a node's name has 1 to \(Self.ownerLimit) bytes, not \(owner.utf8.count)"
            )
        }
        guard (1..<Self.limit).contains(number), (number..<Self.limit).contains(fencingEpoch)
        else {
            throw OwnerRegisterError(
                .malformed, "no register has entry \(number) of fencing epoch \(fencingEpoch)")
        }
        guard (1...number).contains(tenure), previousTenure < tenure,
            (tenure == 1) == (previousTenure == 0)
        else {
            throw OwnerRegisterError(
                .malformed,
                "no register has entry \(number) of tenure \(tenure) after \(previousTenure)")
        }
        self.number = number
        self.owner = owner
        self.fencingEpoch = fencingEpoch
        self.tenure = tenure
        self.previousTenure = previousTenure
    }
}

/// What became of an entry that was to be appended.
public enum OwnerAppending: Hashable, Sendable {
    /// It is the last one now, and survives a crash.
    case appended
    /// Another one had its place; this is the last one.
    case refused(OwnerEntry)
}

/// The linearizable record of who owns which partition: `docs/MIGRATION.md` section 3.
///
/// Calls may come from any number of tasks and nodes at once.
///
/// A node calls it on its own thread, and goes on with that while it waits: what takes time must suspend, and not block. Its tasks
/// prefer that thread, so actors without an executor and `@concurrent` functions run there, too: long work belongs on a thread of its
/// own, or in a `Task.detached`.
public protocol OwnerRegister: Sendable {
    /// The last entry of a partition; nil if it has none.
    ///
    /// Every entry whose ``append(_:to:)`` has returned, on any node, is this one or before it; and whatever is
    /// returned here stays.
    ///
    /// - Throws: `unavailable`, `damaged`, `unsupported`.
    nonisolated(nonsending) func last(of partition: PartitionNumber)
        async throws(OwnerRegisterError) -> OwnerEntry?

    /// Does what there is to do for an entry before it is appended, and changes nothing that anybody reads.
    ///
    /// It may come to be appended or not; an append does not need it. Of those of a partition the last counts.
    ///
    /// - Throws: `unavailable`.
    nonisolated(nonsending) func prepare(
        _ entry: OwnerEntry, for partition: PartitionNumber
    ) async throws(OwnerRegisterError)

    /// Makes an entry the last one, if that before it is.
    ///
    /// - Throws: `unavailable`: the entry may be there all the same, so read. `outOfOrder` when the one before it is not
    ///   there. `damaged`, `unsupported`.
    nonisolated(nonsending) func append(
        _ entry: OwnerEntry, to partition: PartitionNumber
    ) async throws(OwnerRegisterError) -> OwnerAppending

    /// Does what ``append(_:to:)`` does of an entry that was prepared, as far as that takes time, and changes nothing: for
    /// whoever wants to know how long an append takes now.
    ///
    /// - Throws: `unavailable`.
    nonisolated(nonsending) func probe() async throws(OwnerRegisterError)

    /// How rows are divided into partitions: what the first who asks proposes, for all nodes and for ever.
    ///
    /// - Throws: `unavailable`, `damaged`, `unsupported`.
    nonisolated(nonsending) func shape(proposing shape: OwnerShape) async throws(OwnerRegisterError)
        -> OwnerShape
}

extension OwnerRegister {
    /// Does nothing, where there is nothing to do before.
    nonisolated(nonsending) public func prepare(
        _ entry: OwnerEntry, for partition: PartitionNumber
    ) async throws(OwnerRegisterError) {}
}

/// How the nodes of a register divide their rows: which partition a row is in follows from it.
public struct OwnerShape: Hashable, Sendable {
    /// The key of the hash that places rows.
    public var hashKey: HashKey
    /// b: tables have 2 to the power b partitions, at most 2^16.
    public var moveBits: Int

    /// A shape.
    public init(hashKey: HashKey, moveBits: Int) {
        precondition((0...16).contains(moveBits), "at most 2^16 partitions")
        self.hashKey = hashKey
        self.moveBits = moveBits
    }
}

/// Why a register could not be read or appended to.
///
/// Two errors are equal when their codes are.
public struct OwnerRegisterError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a caller may act on.
    @nonexhaustive
    public enum Code: Sendable {
        /// It cannot be reached, or failed: nothing is known of what was asked. Try again, and serve nothing meanwhile
        /// that depends on it.
        case unavailable
        /// What it holds is not what was written: an operator must look.
        case damaged
        /// A newer version wrote it.
        case unsupported
        /// An entry is to follow one that is not there.
        case outOfOrder
        /// An entry that no register has.
        case malformed
    }

    /// What a caller may act on.
    public var code: Code
    /// What happened, with the place.
    public var message: String

    /// Creates an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// Compares the codes.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
