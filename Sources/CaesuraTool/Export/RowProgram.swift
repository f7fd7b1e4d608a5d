import CaesuraFormat

/// What is printed for each row of a region: text that is always the same, with values between.
///
///     JSON  {"key":{"host":⟨host⟩,"port":⟨port⟩},"row":{…}}⏎
///     CSV   ⟨host⟩,⟨port⟩,…⏎
///
/// Worked out once, so that printing a row is a walk along a list. Fields that are not shown have no step.
struct RowProgram {
    /// A step.
    enum Step {
        /// Print a part of ``texts``.
        case text(Range<Int>)
        /// Print the next value of a column.
        case value(leaf: Int)
        /// Go on if the column says that there is a value; if not, print the text and pass over `count` steps.
        case ifPresent(leaf: Int, count: Int, absent: Range<Int>)
    }

    private(set) var steps: [Step] = []
    /// The pieces of text, one behind the other.
    private(set) var texts: [UInt8] = []
    private let isShown: [Bool]
    /// The first step behind the last optional: what comes before it may be passed over.
    private var firstOpenStep = 0

    // MARK: JSON

    /// The program of lines of JSON.
    static func json(key: RowTree?, row: RowTree, isShown: [Bool]) -> RowProgram {
        var program = RowProgram(isShown)
        program.add("{")
        if let key {
            program.add("\"key\":")
            program.addJSON(key)
            program.add(",")
        }
        program.add("\"row\":")
        program.addJSON(row)
        program.add("}\n")
        return program
    }

    /// The program of one value in JSON: a key, a field.
    static func json(value tree: RowTree, isShown: [Bool]) -> RowProgram {
        var program = RowProgram(isShown)
        program.addJSON(tree)
        return program
    }

    private mutating func addJSON(_ tree: RowTree) {
        switch tree {
        case .leaf(let leaf): steps.append(.value(leaf: leaf))
        case .optional(let presence, let wrapped):
            addOptional(presence, absent: Array("null".utf8)) { $0.addJSON(wrapped) }
        case .structure(let fields):
            add("{")
            for (index, field) in fields.filter({ !isHidden($0.tree) }).enumerated() {
                if index > 0 { add(",") }
                add(field.label)
                addJSON(field.tree)
            }
            add("}")
        }
    }

    // MARK: CSV

    /// The program of lines of CSV.
    static func csv(key: RowTree?, row: RowTree, isShown: [Bool]) -> RowProgram {
        var program = RowProgram(isShown)
        var isFirst = true
        if let key { program.addCSV(key, &isFirst) }
        program.addCSV(row, &isFirst)
        program.add("\n")
        return program
    }

    private mutating func addCSV(_ tree: RowTree, _ isFirst: inout Bool) {
        if isHidden(tree) { return }
        switch tree {
        case .leaf(let leaf):
            if !isFirst { add(",") }
            isFirst = false
            steps.append(.value(leaf: leaf))
        case .optional(let presence, let wrapped):
            // A comma before each cell, but for the line's first.
            let cells = cellCount(wrapped)
            let commas = isFirst ? max(0, cells - 1) : cells
            let wasFirst = isFirst
            addOptional(presence, absent: Array(repeating: UInt8(ascii: ","), count: commas)) {
                var isFirst = wasFirst
                $0.addCSV(wrapped, &isFirst)
            }
            if cells > 0 { isFirst = false }
        case .structure(let fields):
            for field in fields { addCSV(field.tree, &isFirst) }
        }
    }

    private func cellCount(_ tree: RowTree) -> Int {
        switch tree {
        case .leaf(let leaf): isShown[leaf] ? 1 : 0
        case .optional(_, let wrapped): cellCount(wrapped)
        case .structure(let fields): fields.reduce(0) { $0 + cellCount($1.tree) }
        }
    }

    // MARK: Both

    private init(_ isShown: [Bool]) { self.isShown = isShown }

    private mutating func addOptional(
        _ presence: Int, absent: [UInt8], _ body: (inout RowProgram) -> Void
    ) {
        let place = steps.count
        let text = texts.count..<texts.count + absent.count
        texts += absent
        steps.append(.ifPresent(leaf: presence, count: 0, absent: text))
        body(&self)
        steps[place] = .ifPresent(
            leaf: presence, count: steps.count - place - 1, absent: text)
        firstOpenStep = steps.count
    }

    private mutating func add(_ text: String) { add(Array(text.utf8)) }

    private mutating func add(_ text: [UInt8]) {
        let range = texts.count..<texts.count + text.count
        texts += text
        // Text that follows text is one piece, unless an optional ends between them.
        if steps.count > firstOpenStep, case .text(let last)? = steps.last,
            last.upperBound == range.lowerBound
        {
            steps[steps.count - 1] = .text(last.lowerBound..<range.upperBound)
        } else {
            steps.append(.text(range))
        }
    }

    private func isHidden(_ tree: RowTree) -> Bool { Self.isHidden(tree, isShown) }

    /// Whether nothing of a tree is shown.
    static func isHidden(_ tree: RowTree, _ isShown: [Bool]) -> Bool {
        switch tree {
        case .leaf(let leaf): !isShown[leaf]
        case .optional(let presence, _): !isShown[presence]
        case .structure(let fields):
            !fields.isEmpty && fields.allSatisfy { isHidden($0.tree, isShown) }
        }
    }
}
