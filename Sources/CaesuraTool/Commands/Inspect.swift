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
        // Who asked for one checkpoint need not hear of the others.
        let damaged = (inspection.damaged ?? []).map(\.epoch).filter { $0 == at ?? $0 }
        guard damaged.isEmpty else {
            let count = at == nil ? damaged.count + (inspection.checkpoints?.count ?? 0) : 1
            throw ToolError(damaged: damaged, of: count, in: path)
        }
        guard at != nil || inspection.losses.isEmpty else {
            throw ToolError(
                "deltas in \(path) are lost",
                hint: "caesura verify \(path) says what is still good",
                exitCode: .damage)
        }
    }

    private var isDirectory: Bool {
        var isDirectory: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        return exists && isDirectory.boolValue
    }

    private func repository() async throws -> Inspection {
        let repository = try await Repository.open(.directory(path), for: .read)
        try await repository.checkEpoch(at, in: path)
        let log = try await repository.log()
        let epochs = try await repository.epochs()
        let deltas = Dictionary(
            uniqueKeysWithValues: log.checkpoints.filter { !$0.isFull }.map { ($0.epoch, $0) })
        var checkpoints: [Inspection.Checkpoint] = []
        var damaged: [Inspection.Damage] = []
        var shown: CheckpointReader?
        for epoch in epochs {
            if let delta = deltas[epoch] {
                checkpoints.append(Inspection.Checkpoint(delta))
                continue
            }
            do throws(RepositoryError) {
                let reader = try await repository.reader(at: epoch)
                checkpoints.append(Inspection.Checkpoint(reader.manifest))
                if epoch == at ?? epochs.last { shown = reader }
            } catch {
                guard error.code == .damaged || error.code == .unsupported else { throw error }
                damaged.append(Inspection.Damage(epoch: epoch, problem: error.description))
            }
        }
        var contents: DeltaContents?
        if let epoch = at ?? epochs.last, deltas[epoch] != nil {
            do throws(RepositoryError) {
                contents = try await repository.delta(at: epoch)
            } catch {
                guard error.code == .damaged else { throw error }
                checkpoints.removeAll { $0.epoch == epoch }
                damaged.append(Inspection.Damage(epoch: epoch, problem: error.description))
            }
        }
        var inspection = Inspection(
            name: path, checkpoints: checkpoints, damaged: damaged, log.unfinished)
        inspection.losses = try await repository.losses().map(\.description)
        if let shown { inspection.show(shown) }
        if let contents { inspection.show(contents) }
        return inspection
    }

    private func stream() throws -> Inspection {
        var inspection = Inspection(name: path)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ToolError(opening: path, code: errno)
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        func nextPiece() throws(ToolError) -> Data? {
            do {
                return try file.read(upToCount: 1 << 20)
            } catch {
                throw ToolError("cannot read \(path): \(failureText(error))")
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
            throw refusal(error, hasBegun: inspection.epoch != nil)
        }
        return inspection
    }

    private func refusal(_ error: FormatError, hasBegun: Bool) -> ToolError {
        let hint: String? =
            switch error.code {
            case .truncated where hasBegun:
                "a checkpoint of several packs goes on in its next one"
            case .malformed where !hasBegun:
                "name a repository or a whole stream; only the first pack of a checkpoint begins one"
            case .checksumMismatch, .malformed: "fetch the file again, or verify its repository"
            default: nil
            }
        let isDamage = [.truncated, .checksumMismatch, .malformed].contains(error.code)
        return ToolError(
            "\(path) is not a whole stream: \(error)", hint: hint,
            exitCode: isDamage ? .damage : .failure)
    }
}
