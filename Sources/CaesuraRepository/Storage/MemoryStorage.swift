import Synchronization

/// Files in memory that keep written and durable apart, can stop working at any operation, and show
/// what a crash might have left on the disk.
///
/// The model (after redb's `tests/crash_consistency.rs`): a file has durable bytes and appends that are
/// not synced yet; a directory has durable names and changes that are not. A sync makes its own file or
/// directory durable and nothing else. After a crash any subset of the rest has reached the disk,
/// whatever the order it was asked for: an append may be there while the one before it reads as zeros.
package final class MemoryStorage: Storage {
    fileprivate struct File {
        var durable: [UInt8] = []
        var pending: [[UInt8]] = []
        var bytes: [UInt8] { pending.reduce(into: durable) { $0 += $1 } }

        /// What is pending, no piece across a multiple of a size.
        func sectors(of size: Int) -> [[UInt8]] {
            var offset = durable.count
            var sectors: [[UInt8]] = []
            for piece in pending {
                var rest = piece[...]
                while !rest.isEmpty {
                    let sector = rest.prefix(size - offset % size)
                    sectors.append([UInt8](sector))
                    offset += sector.count
                    rest = rest.dropFirst(sector.count)
                }
            }
            return sectors
        }
    }

    fileprivate enum NameChange {
        case add(String, Int)
        case remove(String)
    }

    fileprivate struct Directory {
        var durable: [String: Int] = [:]
        var pending: [NameChange] = []
        var names: [String: Int] {
            var names = durable
            for change in pending { MemoryStorage.apply(change, to: &names) }
            return names
        }
    }

    fileprivate struct State {
        var files: [File] = []
        var directories: [String: Directory] = ["": Directory()]
        var locks: Set<String> = []
        var operations = 0
        var log: [String] = []
        var plan = Plan.none

        /// Lets go of the bytes of files that no name leads to, not even after a crash.
        mutating func releaseNameless() {
            var named: Set<Int> = []
            for directory in directories.values {
                named.formUnion(directory.durable.values)
                for case .add(_, let file) in directory.pending { named.insert(file) }
            }
            for index in files.indices where !named.contains(index) { files[index] = File() }
        }
    }

    /// What goes wrong, and at which operation (counted from 0).
    package enum Plan: Equatable {
        case none
        /// This operation and all after it fail, as if the process had been killed; what the operation
        /// was to do may or may not have reached the disk.
        case crash(at: Int)
        /// This operation fails as on a full disk, and so do all that need space until ``refill()``.
        case full(from: Int)
        /// This one operation fails with an I/O error; what it was to do may or may not be there.
        case fail(at: Int)
    }

    private let state: Mutex<State>

    /// Files on a new disk.
    package convenience init() { self.init(State()) }

    private init(_ state: State) { self.state = Mutex(state) }

    /// Operations that change the disk, so far.
    package var operations: Int { state.withLock { $0.operations } }
    /// What they were.
    package var log: [String] { state.withLock { $0.log } }

    /// Lets something go wrong.
    package func plan(_ plan: Plan) { state.withLock { $0.plan = plan } }

    /// Lets nothing go wrong any more.
    package func refill() { plan(.none) }

    /// The names of the files in a directory, sorted; none if there is no such directory.
    package func files(in directory: String) -> [String] {
        state.withLock { $0.directories[directory]?.names.keys.sorted() ?? [] }
    }

    /// The paths of all files, sorted.
    package var paths: [String] {
        state.withLock { state in
            state.directories.flatMap { directory in
                directory.value.names.keys.map {
                    directory.key.isEmpty ? $0 : directory.key + "/" + $0
                }
            }.sorted()
        }
    }

    // MARK: Crash images

    /// What a crash now may leave, as the storage of the process that comes after.
    ///
    /// - Parameters:
    ///   - sectorBytes: How much reaches the disk at once; an append is torn at multiples of it. Not at all unless told.
    ///   - keep: Is asked for each sector of an append, and each name change, that is not durable whether it reached the
    ///     disk.
    package func image(sectorBytes: Int = .max, keep: () -> Bool) -> MemoryStorage {
        var next = restarted()
        for index in next.files.indices {
            var bytes = next.files[index].durable
            var rest: [UInt8] = []
            for piece in next.files[index].sectors(of: sectorBytes) {
                if keep() {
                    bytes += rest + piece
                    rest = []
                } else {
                    rest += [UInt8](repeating: 0, count: piece.count)
                }
            }
            // The size may have been extended without the bytes.
            if keep() { bytes += rest }
            next.files[index] = File(durable: bytes)
        }
        for path in next.directories.keys.sorted() {
            var names = next.directories[path]!.durable
            for change in next.directories[path]!.pending where keep() {
                Self.apply(change, to: &names)
            }
            next.directories[path] = Directory(durable: names)
        }
        return MemoryStorage(next)
    }

    /// The storage as the next process finds it when this one is killed and the machine goes on: all that
    /// was written is visible, and what was not durable still is not.
    package func afterKill() -> MemoryStorage { MemoryStorage(restarted()) }

    /// The files, for a process that begins.
    private func restarted() -> State {
        var next = state.withLock { $0 }
        next.locks = []
        next.plan = .none
        next.operations = 0
        next.log = []
        return next
    }

    /// Changes one byte of a file, as a bad disk would.
    package func flip(_ path: String, at offset: Int, _ bits: UInt8 = 1) {
        state.withLock { state in
            let file = Self.find(path, in: state)!
            state.files[file] = File(durable: state.files[file].bytes)
            state.files[file].durable[offset] ^= bits
        }
    }

    /// Makes a file one of other bytes, or makes it.
    package func replace(_ path: String, with bytes: [UInt8]) {
        state.withLock { state in
            if let file = Self.find(path, in: state) {
                state.files[file] = File(durable: bytes)
            } else {
                let (directory, name) = Self.split(path)
                state.directories[directory]!.durable[name] = state.files.count
                state.files.append(File(durable: bytes))
            }
        }
    }

    /// The bytes of a file; nil if there is none.
    package func bytes(_ path: String) -> [UInt8]? {
        state.withLock { state in Self.find(path, in: state).map { state.files[$0].bytes } }
    }

    // MARK: Storage

    package func makeDirectory(_ path: String) throws(RepositoryError) {
        try perform("mkdir \(path)", path, grows: true) { (state) throws(RepositoryError) in
            // Its durability is not modelled apart: the writer syncs the root right after.
            if state.directories[path] == nil { state.directories[path] = Directory() }
        }
    }

    package func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        var created = 0
        try perform("create \(path)", path, grows: true) { (state) throws(RepositoryError) in
            try Self.checkFree(path, state)
            created = state.files.count
            state.files.append(File())
            let (directory, name) = Self.split(path)
            state.directories[directory]!.pending.append(.add(name, created))
        }
        return Writer(self, created, path)
    }

    package func open(_ path: String) throws(RepositoryError) -> any StorageReader {
        let file = try state.withLock { (state) throws(RepositoryError) -> Int in
            guard let file = Self.find(path, in: state) else { throw Self.missing(path) }
            return file
        }
        return Reader(path: display(path), bytes: state.withLock { $0.files[file].bytes })
    }

    package func link(_ path: String, as name: String) throws(RepositoryError) {
        try perform("link \(name)", name, grows: true) { (state) throws(RepositoryError) in
            try Self.checkFree(name, state)
            guard let file = Self.find(path, in: state) else { throw Self.missing(path) }
            let (directory, leaf) = Self.split(name)
            state.directories[directory]!.pending.append(.add(leaf, file))
        }
    }

    package func remove(_ path: String) throws(RepositoryError) {
        try perform("remove \(path)", path, grows: false) { (state) throws(RepositoryError) in
            guard Self.find(path, in: state) != nil else { throw Self.missing(path) }
            let (directory, name) = Self.split(path)
            state.directories[directory]!.pending.append(.remove(name))
        }
    }

    package func syncDirectory(_ path: String) throws(RepositoryError) {
        try perform(
            "sync directory \(path)", path, grows: true, certain: false
        ) { (state) throws(RepositoryError) in
            state.directories[path] = Directory(durable: state.directories[path]!.names)
            state.releaseNameless()
        }
    }

    package func syncFile(_ path: String) throws(RepositoryError) {
        try perform(
            "sync file \(path)", path, grows: true, certain: false
        ) { (state) throws(RepositoryError) in
            guard let file = Self.find(path, in: state) else { throw Self.missing(path) }
            state.files[file] = File(durable: state.files[file].bytes)
        }
    }

    package func list(_ path: String) throws(RepositoryError) -> [String] {
        try state.withLock { (state) throws(RepositoryError) in
            guard let directory = state.directories[path] else { throw Self.missing(path) }
            let below = path.isEmpty ? state.directories.keys.filter { !$0.isEmpty } : []
            return (directory.names.keys + below).sorted()
        }
    }

    package func lock(_ path: String) throws(RepositoryError) -> any StorageLock {
        let taken = state.withLock { $0.locks.insert(path).inserted }
        guard taken else {
            throw LockHolder.refusal(text: Array("pid 1 host memory since now".utf8), path: path)
        }
        return Lock(self, path)
    }

    package func display(_ path: String) -> String { "memory:/" + path }

    // MARK: Operations

    /// Carries out an operation that changes the disk, unless the plan says that it fails.
    ///
    /// An operation that fails half-way has its change pending if it is an append or a name change
    /// (`certain`), so that an image may or may not have it; a sync that fails has synced nothing.
    fileprivate func perform(
        _ name: String, _ path: String, grows: Bool, certain: Bool = true,
        _ change: (inout State) throws(RepositoryError) -> Void
    ) throws(RepositoryError) {
        try state.withLock { (state) throws(RepositoryError) in
            let index = state.operations
            state.operations += 1
            state.log.append(name)
            switch state.plan {
            case .crash(let at) where index >= at:
                if index == at, certain { try change(&state) }
                throw RepositoryError(.storage, "crashed", path: path)
            case .full(let from) where index >= from && grows:
                throw SystemCall.error("write to", path, number: 28)
            case .fail(let at) where index == at:
                if certain { try change(&state) }
                throw SystemCall.error("write to", path, number: 5)
            default: try change(&state)
            }
        }
    }

    private static func apply(_ change: NameChange, to names: inout [String: Int]) {
        switch change {
        case .add(let name, let file): names[name] = file
        case .remove(let name): names[name] = nil
        }
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private static func find(_ path: String, in state: State) -> Int? {
        let (directory, name) = split(path)
        return state.directories[directory]?.names[name]
    }

    private static func checkFree(_ path: String, _ state: State) throws(RepositoryError) {
        guard find(path, in: state) == nil else {
            throw SystemCall.error("make the file", path, number: 17)
        }
        guard state.directories[split(path).directory] != nil else { throw missing(path) }
    }

    private static func missing(_ path: String) -> RepositoryError {
        SystemCall.error("open the file", path, number: 2)
    }

    private final class Writer: StorageWriter {
        let storage: MemoryStorage
        let file: Int
        let path: String

        init(_ storage: MemoryStorage, _ file: Int, _ path: String) {
            self.storage = storage
            self.file = file
            self.path = path
        }

        func append(_ bytes: borrowing RawSpan) throws(RepositoryError) {
            let piece = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
            try storage.perform(
                "append \(path)", path, grows: true
            ) { (state) throws(RepositoryError) in
                state.files[file].pending.append(piece)
            }
        }

        func sync() throws(RepositoryError) {
            try storage.perform(
                "sync \(path)", path, grows: true, certain: false
            ) { (state) throws(RepositoryError) in
                state.files[file] = File(durable: state.files[file].bytes)
            }
        }

        func close() {}
    }

    private struct Reader: StorageReader {
        let path: String
        let bytes: [UInt8]
        var size: Int { bytes.count }

        func read(
            at offset: Int, into buffer: inout MutableRawSpan
        ) throws(RepositoryError) {
            guard offset >= 0, offset + buffer.byteCount <= bytes.count else {
                throw RepositoryError(.damaged, "the file ends", path: path, offset: offset)
            }
            for index in 0..<buffer.byteCount {
                buffer.storeBytes(of: bytes[offset + index], toByteOffset: index, as: UInt8.self)
            }
        }
    }

    private final class Lock: StorageLock {
        let storage: MemoryStorage
        let path: String

        init(_ storage: MemoryStorage, _ path: String) {
            self.storage = storage
            self.path = path
        }

        deinit { release() }

        func release() { _ = storage.state.withLock { $0.locks.remove(path) } }
    }
}
