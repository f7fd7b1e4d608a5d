// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "caesura-benchmarks",
    platforms: [.macOS(.v26)],
    dependencies: [
        .package(name: "caesura", path: ".."),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    ],
    targets: [
        .target(name: "CMachine"),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .executableTarget(
            name: "caesura-bench",
            dependencies: [
                "CMachine",
                "CSQLite",
                .product(name: "Caesura", package: "caesura"),
                .product(name: "CaesuraFormat", package: "caesura"),
                .product(name: "CaesuraMigration", package: "caesura"),
                .product(name: "CaesuraNode", package: "caesura"),
                .product(name: "CaesuraNodeService", package: "caesura"),
                .product(name: "CaesuraRepository", package: "caesura"),
                .product(name: "CaesuraTransport", package: "caesura"),
                .product(name: "HashTreeCollections", package: "swift-collections"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Sources/CaesuraBench",
            // What Caesura's protocols are declared with.
            swiftSettings: [.enableExperimentalFeature("SuppressedAssociatedTypes")]),
    ],
    swiftLanguageModes: [.v6]
)
