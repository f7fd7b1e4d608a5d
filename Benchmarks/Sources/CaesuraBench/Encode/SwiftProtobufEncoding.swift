import Foundation
import SwiftProtobuf

/// swift-protobuf: one reused message, its length in front.
enum SwiftProtobufEncoding {
    static func run(rows: Int, passes: Int) throws {
        let scale = short(rows)
        func report(_ metric: String, _ unit: String, _ value: Double) {
            Result(metric, "swift-protobuf", scale, unit, value).print()
        }
        // A million rows at a time keep the memory of 5 million structs out of the way.
        let sessions = (0..<min(rows, 1_000_000)).map { Session($0) }
        let rows = sessions.count

        var output: [UInt8] = []
        output.reserveCapacity(rows * 100)
        let encode = try EncodeBenchmark.best(of: passes, rows: rows) {
            output.removeAll(keepingCapacity: true)
            var message = Caesura_Benchmarks_SessionMessage()
            for i in 0..<rows {
                set(&message, Session.id(i), sessions[i])
                let bytes: [UInt8] = try message.serializedBytes()
                output.append(UInt8(bytes.count))
                output.append(contentsOf: bytes)
            }
        }
        report("encode", "ns/row", encode)
        report("encoded size", "B/row", Double(output.count) / Double(rows))

        var sum: UInt64 = 0
        let decode = try EncodeBenchmark.best(of: passes, rows: rows) {
            let bytes = output.span.bytes
            var place = 0
            while place < bytes.byteCount {
                let end = place + 1 + Int(bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self))
                var message = Caesura_Benchmarks_SessionMessage()
                try message.merge(serializedBytes: bytes.extracting(place + 1..<end))
                sum &+= message.user
                place = end
            }
        }
        report("restore; peers: parse", "ns/row", decode)
        keep(sum)

        let thousand = output.withUnsafeBufferPointer { bytes in
            var place = 0
            for _ in 0..<1000 { unsafe place += 1 + Int(bytes[place]) }
            return Array(output[..<place])
        }
        Swift.print("digest", "swift-protobuf", EncodeBenchmark.digest(thousand), separator: "\t")
    }

    @inline(__always)
    private static func set(
        _ message: inout Caesura_Benchmarks_SessionMessage, _ id: UInt64, _ row: Session
    ) {
        message.id = id
        message.user = row.user
        message.created = row.created
        message.lastSeen = row.lastSeen
        message.visits = row.visits
        message.ip = row.ip
        message.flags = UInt32(row.flags)
        message.cart = row.cart
        message.token = row.token
        message.country = row.country
    }
}
