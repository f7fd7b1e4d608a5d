// swift-tools-version: 6.3
import CompilerPluginSupport
import PackageDescription

let package = Package(
    name: "caesura",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "caesura", targets: ["CaesuraTool"]),
        .library(name: "Caesura", targets: ["Caesura"]),
        .library(name: "CaesuraFormat", targets: ["CaesuraFormat"]),
        .library(name: "CaesuraMigration", targets: ["CaesuraMigration"]),
        .library(name: "CaesuraNode", targets: ["CaesuraNode"]),
        .library(name: "CaesuraNodeService", targets: ["CaesuraNodeService"]),
        .library(name: "CaesuraRepository", targets: ["CaesuraRepository"]),
        .library(name: "CaesuraSchemas", targets: ["CaesuraSchemas"]),
        .library(name: "CaesuraService", targets: ["CaesuraService"]),
        .library(name: "CaesuraTesting", targets: ["CaesuraTesting"]),
        .library(name: "CaesuraTransport", targets: ["CaesuraTransport"]),
        .plugin(name: "CaesuraSchema", targets: ["CaesuraSchema"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-syntax", from: "603.0.1"),
    ],
    targets: [
        .plugin(
            name: "CaesuraSchema",
            capability: .command(
                intent: .custom(
                    verb: "schema",
                    description: "Compare the package's schemas with those that shipped."))),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .systemLibrary(
            name: "CXXHash", pkgConfig: "libxxhash",
            providers: [.apt(["libxxhash-dev"]), .brew(["xxhash"])]),
        .systemLibrary(name: "CPrefetch"),
        .target(
            name: "Caesura", dependencies: ["CaesuraFormat", "CaesuraMacros", "CPrefetch"],
            // Lets a protocol have noncopyable associated types: a schema's Reader and Editor.
            swiftSettings: [.enableExperimentalFeature("SuppressedAssociatedTypes")]),
        .target(name: "CaesuraFormat", dependencies: ["CZstd", "CXXHash"]),
        .target(
            name: "CaesuraMacroExpansion",
            dependencies: [
                .product(name: "SwiftDiagnostics", package: "swift-syntax"),
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
            ]),
        .macro(
            name: "CaesuraMacros",
            dependencies: [
                "CaesuraMacroExpansion",
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
            ]),
        .target(name: "CaesuraMigration", dependencies: ["CaesuraFormat"]),
        .target(
            name: "CaesuraNode", dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration"]),
        .target(
            name: "CaesuraNodeService",
            dependencies: [
                "Caesura", "CaesuraMigration", "CaesuraNode", "CaesuraRepository",
                "CaesuraTransport",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .target(
            name: "CaesuraRepository",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration", "CXXHash"]),
        .target(name: "CaesuraRoutes", dependencies: ["Caesura"]),
        .target(
            name: "CaesuraSchemas",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration"]),
        .target(
            name: "CaesuraService",
            dependencies: [
                "CaesuraRepository",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .target(
            name: "CaesuraSimulation",
            dependencies: [
                "Caesura", "CaesuraFormat", "CaesuraMigration", "CaesuraNode", "CaesuraRepository",
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        .target(
            name: "CaesuraTesting", dependencies: ["Caesura", "CaesuraFormat", "CaesuraSchemas"]),
        .executableTarget(
            name: "CaesuraTool",
            dependencies: [
                "Caesura", "CaesuraFormat", "CaesuraMigration", "CaesuraNode",
                "CaesuraNodeService", "CaesuraRepository", "CaesuraRoutes", "CaesuraSchemas",
                "CaesuraService", "CaesuraSimulation", "CaesuraTransport", "CZlib",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        .target(
            name: "CaesuraTransport",
            dependencies: [
                "CaesuraFormat", "CaesuraMigration",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        .testTarget(name: "CaesuraTests", dependencies: ["Caesura"], exclude: ["Golden"]),
        .testTarget(
            name: "CaesuraFormatTests", dependencies: ["CaesuraFormat", "CaesuraTesting"],
            exclude: ["Golden"]),
        .testTarget(
            name: "CaesuraMacroExpansionTests",
            dependencies: [
                "CaesuraMacroExpansion",
                .product(name: "SwiftParser", package: "swift-syntax"),
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacroExpansion", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacrosGenericTestSupport", package: "swift-syntax"),
            ]),
        .testTarget(
            name: "CaesuraMigrationTests",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration", "CaesuraTesting"]),
        .testTarget(
            name: "CaesuraNodeServiceTests",
            dependencies: [
                "Caesura", "CaesuraMigration", "CaesuraNode", "CaesuraNodeService",
                "CaesuraRepository", "CaesuraTransport", "TestCertificates", "TestNode",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        .testTarget(
            name: "CaesuraNodeTests",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration", "CaesuraNode"]),
        .testTarget(
            name: "CaesuraRepositoryTests",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraMigration", "CaesuraRepository"]),
        .testTarget(name: "CaesuraRoutesTests", dependencies: ["Caesura", "CaesuraRoutes"]),
        .testTarget(
            name: "CaesuraSchemasTests",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraSchemas"]),
        .testTarget(
            name: "CaesuraServiceTests",
            dependencies: [
                "Caesura", "CaesuraRepository", "CaesuraService",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(name: "CaesuraSimulationTests", dependencies: ["CaesuraSimulation"]),
        .testTarget(
            name: "CaesuraTestingTests",
            dependencies: ["Caesura", "CaesuraFormat", "CaesuraSchemas", "CaesuraTesting"]),
        .testTarget(
            name: "CaesuraToolTests",
            dependencies: [
                "Caesura", "CaesuraFormat", "CaesuraRepository", "CaesuraRoutes", "CaesuraTool",
                "TestCertificates",
                .product(name: "X509", package: "swift-certificates"),
            ]),
        .testTarget(
            name: "CaesuraTransportTests",
            dependencies: [
                "CaesuraFormat", "CaesuraMigration", "CaesuraTransport", "TestCertificates",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        .target(
            name: "TestCertificates",
            dependencies: [
                "CaesuraTransport",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ], path: "Tests/TestCertificates"),
        .executableTarget(
            name: "TestNode",
            dependencies: [
                "Caesura", "CaesuraMigration", "CaesuraNode", "CaesuraNodeService",
                "CaesuraRepository", "CaesuraService", "CaesuraSimulation", "CaesuraTransport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], path: "Tests/TestNode"),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system && target.type != .plugin {
    var settings = target.swiftSettings ?? []
    settings += [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .strictMemorySafety(),
    ]
    target.swiftSettings = settings
}
