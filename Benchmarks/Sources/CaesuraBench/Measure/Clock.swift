import CMachine

/// Nanoseconds since some fixed moment.
@inline(__always) func now() -> UInt64 { machine_now() }

/// Nanoseconds that `body` takes.
@inline(__always) func nanoseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = now()
    try body()
    return Double(now() - start)
}

/// Keeps the optimiser from dropping a value that nobody uses.
@inline(never) @_optimize(none) func keep<T>(_ value: T) {}
