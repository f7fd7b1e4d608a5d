import Synchronization

@testable import CaesuraRepository

/// A storage that asks before it syncs, and whose locks can be made to keep nobody out, as on a network file
/// system whose `flock` is local.
struct ObservedStorage: Storage {
    let inner: any Storage
    var locks = true
    /// Whether temporary names stay, as where another machine does not see them yet.
    var keepsTemporaryNames = false
    /// Called before each file is made; what it throws, the making throws.
    var beforeCreate: @Sendable (String) throws(RepositoryError) -> Void = { _ in }
    /// Called before each file is opened for reading; what it throws, the opening throws.
    var beforeOpen: @Sendable (String) throws(RepositoryError) -> Void = { _ in }
    /// Called before each sync of a file; what it throws, the sync throws.
    var beforeSync: @Sendable (String) throws(RepositoryError) -> Void = { _ in }
    /// Called before each sync of a directory; what it throws, the sync throws.
    var beforeDirectorySync: @Sendable (String) throws(RepositoryError) -> Void = { _ in }
    /// Called before each listing of a directory.
    var beforeList: @Sendable (String) -> Void = { _ in }
    /// Called before each link.
    var beforeLink: @Sendable (String) -> Void = { _ in }

    func makeDirectory(_ path: String) throws(RepositoryError) { try inner.makeDirectory(path) }
    func create(_ path: String) throws(RepositoryError) -> any StorageWriter {
        try beforeCreate(path)
        return Writer(try inner.create(path), path, beforeSync)
    }
    func open(_ path: String) throws(RepositoryError) -> any StorageReader {
        try beforeOpen(path)
        return try inner.open(path)
    }
    func link(_ path: String, as name: String) throws(RepositoryError) {
        beforeLink(name)
        try inner.link(path, as: name)
    }
    func remove(_ path: String) throws(RepositoryError) {
        if keepsTemporaryNames, path.hasSuffix(Layout.temporarySuffix) { return }
        try inner.remove(path)
    }
    func syncDirectory(_ path: String) throws(RepositoryError) {
        try beforeDirectorySync(path)
        try inner.syncDirectory(path)
    }
    func syncFile(_ path: String) throws(RepositoryError) { try inner.syncFile(path) }
    func list(_ path: String) throws(RepositoryError) -> [String] {
        beforeList(path)
        return try inner.list(path)
    }
    func lock(_ path: String) throws(RepositoryError) -> any StorageLock {
        locks ? try inner.lock(path) : NoLock()
    }
    func display(_ path: String) -> String { inner.display(path) }

    private final class NoLock: StorageLock {
        func release() {}
    }

    private final class Writer: StorageWriter {
        private let inner: any StorageWriter
        private let path: String
        private let beforeSync: @Sendable (String) throws(RepositoryError) -> Void

        init(
            _ inner: any StorageWriter, _ path: String,
            _ beforeSync: @escaping @Sendable (String) throws(RepositoryError) -> Void
        ) {
            self.inner = inner
            self.path = path
            self.beforeSync = beforeSync
        }

        func append(_ bytes: borrowing RawSpan) throws(RepositoryError) { try inner.append(bytes) }
        func sync() throws(RepositoryError) {
            try beforeSync(path)
            try inner.sync()
        }
        func close() { inner.close() }
    }
}
