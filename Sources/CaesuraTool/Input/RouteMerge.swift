import CaesuraRoutes

/// Several files of route lines as one, in the order of time.
///
/// Lines of one file stay in its order, which is that of their arrival; of two lines with the same time, the
/// one of the file named first comes first.
final class RouteMerge {
    private var sources: [Source]
    /// The lines that could not be read so far, of all files.
    var badLines: BadLines {
        sources.reduce(into: BadLines()) { $0.merge($1.file.badLines) }
    }

    private final class Source {
        var file: RouteFile
        var head: RouteLine?

        init(path: String) throws(ToolError) {
            file = try RouteFile(path: path)
            head = try file.next()
        }
    }

    /// Opens all files and reads the first line of each.
    init(paths: [String]) throws(ToolError) {
        var sources: [Source] = []
        for path in paths { sources.append(try Source(path: path)) }
        self.sources = sources
    }

    /// The next line, or nil when all files are at their ends.
    func next() throws(ToolError) -> RouteLine? {
        var earliest: Source?
        for source in sources {
            guard let time = source.head?.time else { continue }
            if let present = earliest?.head?.time, present <= time { continue }
            earliest = source
        }
        guard let earliest else { return nil }
        let line = earliest.head
        earliest.head = try earliest.file.next()
        return line
    }

    /// Up to `count` next lines; fewer only at the end.
    func next(_ count: Int) throws(ToolError) -> [RouteLine] {
        var lines: [RouteLine] = []
        while lines.count < count, let line = try next() {
            lines.append(line)
            if lines.count & 0xFFF == 0 { try Interruption.check() }
        }
        return lines
    }
}
