/// A write of the load, on its way to who serves its partition.
struct WriteRequest: BitwiseCopyable, Sendable {
    /// When it was due.
    var due: UInt64
    /// When it was done; 0 before.
    var done: UInt64 = 0
    /// Which session it is for.
    var row: UInt32
    /// The ``Stretch`` of time in which it was due.
    var stretch: UInt16
    /// Which of the partitions of rows the session is in.
    var partition: UInt8
    /// Whether it was sent to the other process.
    var isForwarded = false
}
