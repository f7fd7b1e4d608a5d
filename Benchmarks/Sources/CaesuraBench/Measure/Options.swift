/// The options of a subcommand: `--name value` pairs and `--name` flags.
struct Options {
    private var values: [String: String] = [:]

    init(_ arguments: ArraySlice<String>) throws {
        var rest = arguments
        while let name = rest.popFirst() {
            guard name.hasPrefix("--") else { throw Failure("unexpected argument '\(name)'") }
            if let value = rest.first, !value.hasPrefix("--") {
                values[name] = value
                rest.removeFirst()
            } else {
                values[name] = ""
            }
        }
    }

    func flag(_ name: String) -> Bool { values["--" + name] != nil }

    func string(_ name: String, default fallback: String? = nil) throws -> String {
        guard let value = values["--" + name] ?? fallback else {
            throw Failure("--\(name) is missing")
        }
        return value
    }

    /// A count or a size; k, M and G stand for powers of 1000.
    func int(_ name: String, default fallback: Int? = nil) throws -> Int {
        guard var text = values["--" + name] else {
            guard let fallback else { throw Failure("--\(name) is missing") }
            return fallback
        }
        let units: [Character: Int] = ["k": 1_000, "M": 1_000_000, "G": 1_000_000_000]
        let unit = text.last.flatMap { units[$0] } ?? 1
        if unit > 1 { text.removeLast() }
        guard let number = Int(text) else { throw Failure("--\(name) is not a number: \(text)") }
        return number * unit
    }
}

/// Why a benchmark cannot go on.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
