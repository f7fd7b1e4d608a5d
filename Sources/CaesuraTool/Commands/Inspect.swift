import ArgumentParser
import CaesuraFormat
import CaesuraRepository
import Foundation

/// `caesura inspect`.
struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is in a repository, or in a file that holds a stream.",
        discussion: "Nothing is decoded; the schemas come from the data.")

    @Argument(help: ArgumentHelp("A repository, or a stream.", valueName: "directory or file"))
    var path: String
    @Option(help: ArgumentHelp("The checkpoint; the newest unless told.", valueName: "epoch"))
    var at: UInt64?
    @Flag(help: "List the chunks too.")
    var chunks = false
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() async throws {
        var inspection: Inspection
        if isDirectory {
            inspection = try await repository()
        } else {
            if at != nil { throw ValidationError("--at is for repositories") }
            inspection = try stream()
        }
        if !chunks { inspection.chunks = nil }
        if json {
            try StandardOutput.writeJSON(inspection)
        } else {
            try StandardOutput.write(inspection.text)
        }
    }

    private var isDirectory: Bool {
        var isDirectory: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        return exists && isDirectory.boolValue
    }

    private func repository() async throws -> Inspection {
        let repository = try await Repository.open(.directory(path), for: .read)
        var checkpoints: [Inspection.Checkpoint] = []
        var shown: CheckpointReader?
        let epochs = try await repository.epochs()
        for epoch in epochs {
            let reader = try await repository.reader(at: epoch)
            checkpoints.append(Inspection.Checkpoint(reader.manifest))
            if epoch == at ?? epochs.last { shown = reader }
        }
        if let at, shown == nil { shown = try await repository.reader(at: at) }
        var inspection = Inspection(name: path, checkpoints: checkpoints)
        if let shown { inspection.show(shown) }
        return inspection
    }

    private func stream() throws -> Inspection {
        var inspection = Inspection(name: path)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ToolError("cannot open \(path): \(systemErrorText(errno))")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        func nextPiece() throws(ToolError) -> Data? {
            do {
                return try file.read(upToCount: 1 << 20)
            } catch {
                throw ToolError("cannot read \(path): \(error.localizedDescription)")
            }
        }
        var reader = StreamReader()
        do {
            while let piece = try nextPiece(), !piece.isEmpty {
                reader.push([UInt8](piece))
                while let item = try reader.next() { inspection.show(item) }
            }
            try reader.finish()
        } catch let error as FormatError {
            throw ToolError(
                "\(path) is not a whole stream: \(error)",
                hint: "a pack that is not the first of its checkpoint begins in the middle of one")
        }
        return inspection
    }
}
