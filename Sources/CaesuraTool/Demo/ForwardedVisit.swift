import Foundation

/// A visit on its way to another process, and back as a receipt.
struct ForwardedVisit {
    var id: UInt64
    var time: Int64
    /// When it was due, on the monotonic clock, which all processes of a machine share.
    var due: UInt64

    /// Bytes of a visit in a pipe.
    static let byteCount = 24
}

/// One end of a pipe of visits, with room for those that come faster than a pipe takes them.
///
/// A pipe takes up to 4096 bytes whole or not at all, so that visits are never torn on their way in.
final class VisitWriter: @unchecked Sendable {
    // `lock` guards all that changes.
    private let lock = NSLock()
    private let descriptor: Int32
    private var failed = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Sends visits; waits if the pipe is full.
    ///
    /// - Returns: Whether they are in the pipe: otherwise nobody reads there.
    @discardableResult func send(_ visits: [ForwardedVisit]) -> Bool {
        var rest = visits[...]
        return lock.withLock {
            while !rest.isEmpty, !failed {
                let batch = rest.prefix(4_096 / ForwardedVisit.byteCount)
                rest = rest.dropFirst(batch.count)
                let count = batch.count * ForwardedVisit.byteCount
                let written = unsafe batch.withUnsafeBytes {
                    unsafe write(descriptor, $0.baseAddress, count)
                }
                failed = written != count
            }
            return !failed
        }
    }

    /// Sends no more: who reads finds the end.
    func close() { lock.withLock { _ = Foundation.close(descriptor) } }
}

/// The other end.
struct VisitReader {
    private let descriptor: Int32
    private var torn: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// The visits that have come, once there is one; nil at the end.
    mutating func next() -> [ForwardedVisit]? {
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return nil }
            torn += buffer[..<count]
            let whole = torn.count / ForwardedVisit.byteCount
            guard whole > 0 else { continue }
            let visits = unsafe torn.withUnsafeBytes { bytes in
                (0..<whole).map { index in
                    let start = index * ForwardedVisit.byteCount
                    return unsafe ForwardedVisit(
                        id: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self),
                        time: bytes.loadUnaligned(fromByteOffset: start + 8, as: Int64.self),
                        due: bytes.loadUnaligned(fromByteOffset: start + 16, as: UInt64.self))
                }
            }
            torn.removeFirst(whole * ForwardedVisit.byteCount)
            return visits
        }
    }
}
