import Caesura
import CaesuraFormat
import CaesuraMigration

/// Which node holds the rows of a partition, and since which tenure: kept with the rows themselves, so that a node that
/// starts knows what those of its checkpoint are (`docs/MIGRATION.md` section 4, "A node that starts").
@Schema("partition_mark")
struct Mark: Hashable {
    /// The name of the node; empty where there is no mark.
    @Field(1) var node: String
    /// The tenure since which it holds them.
    @Field(2) var tenure: UInt64
}

/// The marks in a store.
struct Marks {
    /// The name of the table.
    static let table = "caesura.marks"
    /// The name of the cell, for logs and cells.
    static let cell = "caesura.mark"

    private let rows: Table<UInt32, Mark>
    private let unkeyed: Cell<Mark>
    private let division: Division
    /// The smallest numbers whose hashes fall into the partitions, in their order.
    private var places: [UInt32]

    /// - Throws: `regionConflict` when the store has other regions of these names.
    init(in store: Store, _ division: Division) throws(StoreError) {
        rows = try store.table(Self.table, key: UInt32.self, row: Mark.self)
        unkeyed = try store.cell(Self.cell, initial: Mark(node: "", tenure: 0))
        self.division = division
        places = Self.places(division, store.hashKey)
    }

    /// Finds the places again, after the store has taken over another hash key.
    mutating func rehash(_ store: Store) { places = Self.places(division, store.hashKey) }

    /// - Complexity: O(b · 2^b) hashes: each partition has one in 2^b, and the last one is found late.
    private static func places(_ division: Division, _ key: HashKey) -> [UInt32] {
        var places: [UInt32?] = Array(repeating: nil, count: 1 << division.bits)
        var missing = places.count
        var number: UInt32 = 0
        while missing > 0 {
            let partition = division.partition(ofHash: number.hash(with: key))
            let index = Int(partition.rawValue) - 1 << division.bits
            if places[index] == nil {
                places[index] = number
                missing -= 1
            }
            number += 1
        }
        return places.compactMap(\.self)
    }

    private func place(of partition: PartitionNumber) -> UInt32 {
        places[Int(partition.rawValue) - 1 << division.bits]
    }

    /// The mark of a partition; nil if it has none.
    subscript(partition: PartitionNumber) -> Mark? {
        get {
            guard partition == .unkeyed else { return rows[place(of: partition)] }
            let mark = unkeyed.value
            return mark.node.isEmpty ? nil : mark
        }
        nonmutating set {
            guard partition == .unkeyed else { return rows[place(of: partition)] = newValue }
            unkeyed.value = newValue ?? Mark(node: "", tenure: 0)
        }
    }
}
