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
        .testTarget(name: "CaesuraTests", dependencies: ["Caesura"]),
