import Caesura
import Foundation

enum Color: String, SchemaEnum { case none = "", red = "rød", green = "grün" }

@Schema("job")
struct Job: Equatable {
    @Field(1) var title: String?
    @Field(2) var floor: Int16?
    @Field(3) var address: Address
}

/// More fields than a row's change mask has bits, of each kind and each kind of nesting.
///
/// The mask's last bit stands for all fields from `scores` on.
@Schema("every")
struct EveryRow {
    @Field(1) var flag: Bool
    @Field(2) var tiny: Int8
    @Field(3) var small: UInt16
    @Field(4) var number: Int32
    @Field(5) var large: UInt64
    @Field(6) var wide: Int128
    @Field(7) var wider: UInt128?
    @Field(8) var half: Float16
    @Field(9) var single: Float
    @Field(10) var double: Double?
    @Field(11) var id: UUID
    @Field(12) var seen: Timestamp?
    @Field(13) var name: String
    @Field(14) var note: String?
    @Field(15) var digest: [UInt8]
    @Field(16) var scores: [Double]
    @Field(17) var flags: [Bool]?
    @Field(18) var status: Status
    @Field(19) var color: Color?
    @Field(20) var home: Address
    @Field(21) var job: Job?
    @Field(22) var nested: Nested
    @Field(23) var limit: UInt8?
    @Field(24) var last: UInt32

    init(_ random: inout TableModelTests.Random) {
        flag = .random(using: &random)
        tiny = .random(in: .min ... .max, using: &random)
        small = .random(in: .min ... .max, using: &random)
        number = .random(in: .min ... .max, using: &random)
        large = random.next()
        wide = Int128(truncatingIfNeeded: random.next()) << 60
        wider = nil
        half = 0
        single = 0
        double = nil
        id = UUID(uuid: unsafe unsafeBitCast((random.next(), random.next()), to: uuid_t.self))
        seen = nil
        name = Self.text("", &random)
        note = nil
        digest = []
        scores = []
        flags = nil
        status = .active
        color = nil
        home = Address(city: Self.text("home", &random))
        job = nil
        nested = Nested(outer: nil)
        limit = nil
        last = 0
    }

    static let fieldCount = 24

    /// Changes one field of the row and of its model.
    static func change(
        _ field: Int, of model: inout EveryRow, in table: Table<UInt64, EveryRow>, _ key: UInt64,
        _ random: inout TableModelTests.Random
    ) {
        let (isThere, word) = (Bool.random(using: &random), random.next())
        func set<Value>(
            _ path: WritableKeyPath<EveryRow, Value>, _ value: Value,
            _ assign: (inout EveryRow.Editor) -> Void
        ) {
            model[keyPath: path] = value
            table.update(key) { assign(&$0) }
        }
        switch field {
        case 0: set(\.flag, isThere) { $0.flag = isThere }
        case 1:
            let value = Int8(truncatingIfNeeded: word)
            set(\.tiny, value) { $0.tiny = value }
        case 2:
            let value = UInt16(truncatingIfNeeded: word)
            set(\.small, value) { $0.small = value }
        case 3:
            let value = model.number &+ Int32(word % 5) &- 2
            set(\.number, value) { $0.number = value }
        case 4:
            let value = model.large &+ 1
            set(\.large, value) { $0.large = value }
        case 5:
            let value = model.wide &+ (isThere ? 1 : 1 << 64)
            set(\.wide, value) { $0.wide = value }
        case 6:
            let value = isThere ? UInt128(word) << 64 | UInt128(word) : nil
            set(\.wider, value) { $0.wider = value }
        case 7:
            let value: Float16 = [
                0, -0.0, .nan, 1.5, -.infinity, Float16(nan: 7, signaling: false),
            ][
                Int(word % 6)]
            set(\.half, value) { $0.half = value }
        case 8:
            let value: Float = [0, -0.0, .nan, 0.1, .greatestFiniteMagnitude, .signalingNaN][
                Int(word % 6)]
            set(\.single, value) { $0.single = value }
        case 9:
            let value = isThere ? Self.double(&random) : nil
            set(\.double, value) { $0.double = value }
        case 10:
            let value = UUID(uuid: unsafe unsafeBitCast((word, random.next()), to: uuid_t.self))
            set(\.id, value) { $0.id = value }
        case 11:
            let value = isThere ? Timestamp(microseconds: Int64(truncatingIfNeeded: word)) : nil
            set(\.seen, value) { $0.seen = value }
        case 12:
            let value = Self.text(model.name, &random)
            set(\.name, value) { $0.name = value }
        case 13:
            let value = isThere ? Self.text(model.note ?? "", &random) : nil
            set(\.note, value) { $0.note = value }
        case 14:
            let value = Self.bytes(model.digest, &random)
            set(\.digest, value) { $0.digest = value }
        case 15:
            var value = model.scores
            if isThere || value.isEmpty {
                value.insert(Self.double(&random), at: Int(word % UInt64(value.count + 1)))
            } else {
                value.remove(at: Int(word % UInt64(value.count)))
            }
            set(\.scores, value) { $0.scores = value }
        case 16:
            let value = isThere ? (0..<word % 9).map { word >> (8 + $0) & 1 == 1 } : nil
            set(\.flags, value) { $0.flags = value }
        case 17:
            let value = Status.allCases[Int(word % 2)]
            set(\.status, value) { $0.status = value }
        case 18:
            let value = isThere ? Color.allCases[Int(word % 3)] : nil
            set(\.color, value) { $0.color = value }
        case 19:
            let value = Address(city: Self.text(model.home.city, &random), isBilling: isThere)
            set(\.home, value) { $0.home = value }
        case 20:
            let value =
                word % 3 == 0
                ? nil
                : Job(
                    title: isThere ? Self.text(model.job?.title ?? "", &random) : nil,
                    floor: word % 2 == 0 ? Int16(truncatingIfNeeded: word >> 8) : nil,
                    address: Address(city: Self.text(model.job?.address.city ?? "", &random)))
            set(\.job, value) { $0.job = value }
        case 21:
            let value = Nested(outer: isThere ? Inner(value: word % 2 == 0 ? 7 : nil) : nil)
            set(\.nested, value) { $0.nested = value }
        case 22:
            let value = isThere ? UInt8(truncatingIfNeeded: word) : nil
            set(\.limit, value) { $0.limit = value }
        default:
            let value = model.last &+ UInt32(truncatingIfNeeded: word % 3)
            set(\.last, value) { $0.last = value }
        }
    }

    /// Zeros of both signs, NaNs with payloads, decimals and what is none.
    static func double(_ random: inout TableModelTests.Random) -> Double {
        [
            0, -0.0, .nan, -.nan, Double(nan: 5, signaling: false), .signalingNaN, .infinity,
            .leastNonzeroMagnitude, 0.1, 12.25, Double(bitPattern: random.next()),
        ].randomElement(using: &random)!
    }

    /// Another text with parts of this one; those that differ often share a byte of a character.
    static func text(_ old: String, _ random: inout TableModelTests.Random) -> String {
        // C3 A9, C3 A8, C4 A9; F0 9F 98 80, F0 9F 98 81, F0 9F 99 80.
        let alphabet: [Unicode.Scalar] = ["é", "è", "ĩ", "😀", "😁", "🙀", "a", "b"]
        var scalars = Array(old.unicodeScalars)
        switch Int.random(in: 0..<40, using: &random) {
        case 0: return ""
        case 1:
            // Outside the page, and up to the most that a delta can carry.
            let pairs = [600, 5_000, 32_768].randomElement(using: &random)!
            return String(repeating: "é", count: pairs)
        case 2: return old
        case 3..<6: return String(old.unicodeScalars.prefix(3))
        default:
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0...scalars.count, using: &random)
                let scalar = alphabet.randomElement(using: &random)!
                if place == scalars.count || scalars.count < 8 {
                    scalars.insert(scalar, at: place)
                } else if Bool.random(using: &random) {
                    scalars[place] = scalar
                } else {
                    scalars.remove(at: place)
                }
            }
            var text = String.UnicodeScalarView(scalars)
            while text.count > 40_000 || String(text).utf8.count > 65_536 { text.removeLast() }
            return String(text)
        }
    }

    /// Other bytes with parts of these.
    static func bytes(_ old: [UInt8], _ random: inout TableModelTests.Random) -> [UInt8] {
        Array(text(String(decoding: old, as: UTF8.self), &random).utf8)
    }
}
