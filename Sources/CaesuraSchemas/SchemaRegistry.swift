public import Caesura
public import CaesuraFormat
import CaesuraMigration
import Foundation

/// A program that says what its schemas are: `docs/SCHEMAS.md`, "Checking".
///
/// An executable target of three lines, `Sources/SessionSchemas/main.swift`:
///
///     import CaesuraSchemas
///     import Sessions
///
///     SchemaRegistry.main { store in try Sessions.declare(in: store) }
///
/// `caesura schema check` and its like read what it writes, and `swift package schema` builds it and runs it.
public enum SchemaRegistry {
    /// Writes what the program declares to the file that the command line names, or else to standard output: as bytes
    /// for the tool, and on a terminal as text.
    ///
    /// Ends the process where it cannot, with a sentence: with exit code 1, or 64 if the command line is wrong.
    ///
    /// - Parameter declare: Declares the program's regions, with their migrations, as the service does.
    public static func main(_ declare: (Store) throws -> Void) {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count <= 1 else {
            fail("it takes one argument at most, the file to write to", exitCode: 64)
        }
        do {
            let store = Store()
            try declare(store)
            if let path = arguments.first {
                try Data(bytes(of: store)).write(to: URL(filePath: path), options: .atomic)
            } else if isatty(STDOUT_FILENO) == 1 {
                print(store.regions.map(\.description).joined(separator: "\n\n"))
            } else {
                try FileHandle.standardOutput.write(contentsOf: Data(bytes(of: store)))
            }
        } catch {
            fail("\(error)", exitCode: 1)
        }
    }

    private static func fail(_ message: String, exitCode: Int32) -> Never {
        let program = URL(filePath: CommandLine.arguments.first ?? "").lastPathComponent
        FileHandle.standardError.write(Data("\(program): error: \(message)\n".utf8))
        exit(exitCode)
    }

    /// What ``main(_:)`` writes for a store: an offer, as `docs/SCHEMAS.md` codes it in "Negotiation".
    ///
    /// Of a store that has restored nothing it is the same each time.
    public static func bytes(of store: Store) -> [UInt8] {
        var writer = ByteWriter()
        SchemaMessage.offer(store.schemaOffer).encode(into: &writer)
        return unsafe Array(writer.bytes)
    }

    /// The first byte of what a registry writes: no stream and no lock begins with it.
    public static let firstByte: UInt8 = 1

    /// Reads what a registry has written.
    ///
    /// - Throws: `truncated`, `malformed`, `unsupported` or `limitExceeded`, with the offset.
    public static func offer(_ bytes: [UInt8]) throws(FormatError) -> SchemaOffer {
        try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(FormatError) in
            var reader = unsafe ByteReader(bytes)
            let message = try SchemaMessage(reading: &reader)
            guard reader.remaining == 0 else {
                throw FormatError(.malformed, "there is more behind it", at: reader.position)
            }
            guard case .offer(let offer) = message else {
                throw FormatError(.malformed, "it says nothing about schemas", at: 0)
            }
            return offer
        }
    }
}
