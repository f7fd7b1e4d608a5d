/// The file that makes a directory a repository, and says of which version.
enum Marker {
    /// The version of the directory's layout that this library writes and reads.
    static let version: UInt64 = 1
    private static let format = "caesura-repository"

    /// Refuses a directory that has something in it and is no repository, so that nobody's files are
    /// mixed with ours by a mistyped path.
    static func refuseForeignDirectory(_ storage: any Storage) throws(RepositoryError) {
        let names = try storage.list("")
        guard !names.contains(Layout.marker) else { return }
        let ours = [
            Layout.lock, Layout.maintenance, Layout.packs, Layout.manifests, Layout.boundaries,
            "lost+found",
        ]
        for name in names where !ours.contains(name) && !Layout.isTemporaryMarker(name) {
            throw RepositoryError(
                .exists,
                "the directory holds other files, for example \(name.debugDescription), "
                    + "and is no repository", path: storage.display(""),
                hint: "name an empty directory or one that does not exist yet")
        }
    }

    /// Makes the directory a repository, unless it is one.
    ///
    /// What an earlier writer made and was not given the time to sync is synced here.
    static func create(in storage: any Storage) throws(RepositoryError) {
        let names = try storage.list("")
        if names.contains(Layout.marker) {
            try check(in: storage)
            // They were there before the marker was. Made anew, they would turn all that is there into leftovers.
            for directory in [Layout.packs, Layout.manifests] where !names.contains(directory) {
                throw RepositoryError(
                    .damaged, "the repository has lost its directory of \(directory)",
                    path: storage.display(directory),
                    hint: "bring the directory back; nothing else was changed")
            }
            try storage.makeDirectory(Layout.boundaries)
            return try storage.syncDirectory("")
        }
        try storage.makeDirectory(Layout.boundaries)
        try storage.makeDirectory(Layout.packs)
        try storage.makeDirectory(Layout.manifests)
        try storage.syncDirectory("")
        for name in names where Layout.isTemporaryMarker(name) { try storage.remove(name) }
        var json = JSONWriter()
        json.openDocument()
        json.string("format", format)
        json.number("version", version)
        json.string("created", WallClock.now.description)
        try storage.publish(json.bytes + Array("\n}\n".utf8), as: Layout.marker, in: "")
    }

    /// Checks that the directory is a repository of a version this library knows.
    static func check(in storage: any Storage) throws(RepositoryError) {
        let path = storage.display(Layout.marker)
        let bytes: [UInt8]
        do throws(RepositoryError) {
            bytes = try storage.contents(of: Layout.marker, upTo: 65_536)
        } catch  where error.code == .notFound {
            throw missing(in: storage.display(""))
        }
        var stated: String?
        var version: UInt64?
        var reader = JSONReader(bytes, file: path)
        try reader.object { (json, name) throws(RepositoryError) in
            switch name {
            case "format": stated = try json.string(upTo: 64)
            case "version": version = try json.unsigned()
            default: try json.skip()
            }
        }
        try reader.end()
        guard stated == format, let version else {
            throw RepositoryError(.damaged, "this is not a repository's marker", path: path)
        }
        guard version == Self.version else {
            throw RepositoryError(
                .unsupported,
                "the repository is of version \(version), and this library knows "
                    + "\(Self.version)", path: path, hint: "use a newer version of the library")
        }
    }

    /// The error for a directory that is no repository, or none at all.
    static func missing(in path: String) -> RepositoryError {
        RepositoryError(
            .notFound, "there is no repository here", path: path,
            hint: "name the directory that holds \(Layout.marker)")
    }
}
