import Caesura
import CaesuraFormat
import Testing

/// The store beside a plain dictionary, under random operations.
@Suite struct TableModelTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    static func string(_ random: inout Random) -> String {
        let length =
            switch Int.random(in: 0..<100, using: &random) {
            case 0: Int.random(in: 0...3_000, using: &random)
            case 1..<10: Int.random(in: 0...200, using: &random)
            default: Int.random(in: 0...30, using: &random)
            }
        let character = Character(Unicode.Scalar(UInt8.random(in: 97...122, using: &random)))
        return String(repeating: character, count: length)
    }

    @Test(arguments: [0, 2, 6])
    func `a table does what a dictionary does`(partitionBits: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = Random(state: seed)
        var configuration = Store.Configuration()
        configuration.partitionBits = partitionBits
        configuration.hashKey = HashKey(k0: random.next(), k1: random.next())
        let store = Store(configuration)
        let table = try store.table("sample", key: UInt64.self, row: SampleRow.self)
        var model: [UInt64: SampleRow] = [:]
        for step in 0..<60_000 {
            let key = UInt64.random(in: 0..<4_000, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let row = SampleRow(
                    user: random.next(), token: Self.string(&random), visits: 0,
                    note: Bool.random(using: &random) ? Self.string(&random) : nil)
                table[key] = row
                model[key] = row
            case 4:
                #expect(table.remove(key) == (model.removeValue(forKey: key) != nil))
            case 5:
                let token = Self.string(&random)
                let note = Bool.random(using: &random) ? Self.string(&random) : nil
                table.update(key) {
                    $0.token = token
                    $0.note = note
                }
                model[key]?.token = token
                model[key]?.note = note
            case 6..<8:
                table.update(key) { $0.visits += 1 }
                model[key]?.visits += 1
            case 8:
                #expect(table[key] == model[key])
            default:
                #expect(table.read(key) { $0.visits } == model[key]?.visits)
            }
            if step % 10_000 == 0 { #expect(table.count == model.count) }
        }
        #expect(table.count == model.count)
        for (key, row) in model { #expect(table[key] == row) }
        for key in 0..<4_000 as Range<UInt64> {
            #expect(table.contains(key) == (model[key] != nil))
        }
    }
}
