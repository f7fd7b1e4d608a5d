// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

let package = Package(
    name: "caesura",
    platforms: [.macOS(.v26)],
    products: [
        .library(name: "Caesura", targets: ["Caesura"]),
        .library(name: "CaesuraFormat", targets: ["CaesuraFormat"]),
    ],
    dependencies: [],
    targets: [
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
        .systemLibrary(
            name: "CXXHash", pkgConfig: "libxxhash",
            providers: [.apt(["libxxhash-dev"]), .brew(["xxhash"])]),
        .target(
            name: "Caesura", dependencies: ["CaesuraFormat"],
            // Lets a protocol have noncopyable associated types: a schema's Reader and Editor.
            swiftSettings: [.enableExperimentalFeature("SuppressedAssociatedTypes")]),
        .target(name: "CaesuraFormat", dependencies: ["CZstd", "CXXHash"]),
        .target(name: "CaesuraRoutes"),
        .testTarget(name: "CaesuraTests", dependencies: ["Caesura"]),
        .testTarget(name: "CaesuraFormatTests", dependencies: ["CaesuraFormat"]),
        .testTarget(name: "CaesuraRoutesTests", dependencies: ["CaesuraRoutes"]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    var settings = target.swiftSettings ?? []
    settings += [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .strictMemorySafety(),
    ]
    target.swiftSettings = settings
}
