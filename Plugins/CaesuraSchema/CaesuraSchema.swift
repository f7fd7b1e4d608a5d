import Foundation
import PackagePlugin

/// `swift package schema <subcommand> …`: the command `caesura schema`, given the schemas that the package has now.
///
/// These come from the package's *registry*, an executable that writes them: `docs/SCHEMAS.md`, "Checking".
///
///     swift package schema check --rollback
///     └─ build the registry ─► run it ─► present schemas, in a file ─► caesura schema check FILE --rollback
@main
struct CaesuraSchema: CommandPlugin {
    func performCommand(context: PluginContext, arguments: [String]) async throws {
        var extractor = ArgumentExtractor(arguments)
        let name = try registry(
            of: context.package, named: extractor.extractOption(named: "registry"))
        guard var rest = Optional(extractor.remainingArguments), let subcommand = rest.first else {
            throw Failure("which subcommand? As in: swift package schema check")
        }
        rest.removeFirst()
        let present = context.pluginWorkDirectoryURL.appending(path: name)
        try ask(try build(name), for: present)
        // Not a dependency of the plug-in: then each build of a package that has it built the tool, and all that the tool
        // needs, for plug-ins too.
        let status = try run(
            build("caesura"),
            ["schema", subcommand, present.path(percentEncoded: false)] + rest,
            in: context.package.directoryURL)
        // The tool has said what is wrong.
        if status != 0 { exit(status) }
    }

    /// The product that writes the schemas: the one that is named, or the only executable that uses `CaesuraSchemas`.
    private func registry(of package: Package, named names: [String]) throws -> String {
        if let name = names.last { return name }
        let found = package.products(ofType: ExecutableProduct.self).filter {
            $0.mainTarget.dependencies.contains { dependency in
                switch dependency {
                case .product(let product): product.name == "CaesuraSchemas"
                case .target(let target): target.name == "CaesuraSchemas"
                @unknown default: false
                }
            }
        }
        switch found.count {
        case 1: return found[0].name
        case 0:
            throw Failure(
                "no executable of this package uses CaesuraSchemas: add one that writes the schemas, as docs/SCHEMAS.md "
                    + "of Caesura shows")
        default:
            throw Failure(
                "which one writes the schemas? --registry "
                    + found.map(\.name).joined(separator: ", or --registry "))
        }
    }

    /// Builds an executable of this package or of one that it uses; where it is.
    private func build(_ name: String) throws -> URL {
        let result = try packageManager.build(
            .product(name), parameters: .init(configuration: .inherit, logging: .concise))
        guard result.succeeded else { throw Failure("\(name) does not build:\n\(result.logText)") }
        let artifact = result.builtArtifacts.first {
            $0.kind == .executable && $0.url.deletingPathExtension().lastPathComponent == name
        }
        guard let artifact else { throw Failure("\(name) is no executable") }
        return artifact.url
    }

    /// Lets the registry write the schemas to a file.
    private func ask(_ registry: URL, for file: URL) throws {
        let status = try run(registry, [file.path(percentEncoded: false)], in: nil)
        guard status == 0 else {
            throw Failure("\(registry.lastPathComponent) ended with exit code \(status)")
        }
    }

    private func run(_ program: URL, _ arguments: [String], in directory: URL?) throws -> Int32 {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.currentDirectoryURL = directory
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
