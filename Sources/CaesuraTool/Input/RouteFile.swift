import CaesuraRoutes

/// One file of route lines, read line by line; what cannot be read is counted and passed over.
struct RouteFile: ~Copyable {
    private var opened: RouteInput.Opened
    private var parser = RouteLineParser()
    private let name: String
    private var isFinished = false
    private var hasGoodLine = false
    /// The lines that could not be read so far.
    private(set) var badLines = BadLines()
    /// How many lines were read so far, good and bad.
    var lineCount: Int { opened.reader.lineNumber }
    /// How much of the file was read, from 0 to 1, where its size is known.
    var share: Double? {
        let (read, size) = opened.reader.progress
        return size.map { $0 > 0 ? Double(read) / Double($0) : 1 }
    }

    /// Opens a path, or standard input for `-`.
    init(path: String) throws(ToolError) {
        opened = try RouteInput.open(path)
        name = path == "-" ? "standard input" : path
    }

    deinit { if !isFinished { opened.cancel() } }

    /// The next good line, or nil at the end.
    ///
    /// - Throws: Among others when the file ends and none of its lines was good: it is some other file.
    mutating func next() throws(ToolError) -> RouteLine? {
        while !isFinished {
            let number = opened.reader.lineNumber + 1
            var result: Result<RouteLine, RouteLineError>?
            switch try opened.reader.next({ line in
                result = Result { () throws(RouteLineError) in
                    try parser.parse(line, number: number)
                }
            }) {
            case .line:
                switch result! {
                case .success(let line):
                    hasGoodLine = true
                    return line
                case .failure(let error): badLines.record(error, file: name)
                }
            case .tooLong:
                badLines.record(
                    RouteLineError(
                        .lineTooLong, line: number, column: LineReader.maximumLineByteCount),
                    file: name)
            case .end:
                isFinished = true
                try opened.finish()
                if !hasGoodLine, let first = badLines.examples.first {
                    throw ToolError(
                        "\(name) has no line that bgpdump -m prints: \(first.error)",
                        hint: "name what bgpdump -m printed")
                }
            }
        }
        return nil
    }
}
