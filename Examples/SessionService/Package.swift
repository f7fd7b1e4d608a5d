// swift-tools-version: 6.3
import PackageDescription

// `SESSIONS_VERSION=1 swift build` builds the module Sessions as version 1 shipped it, and with it the same service.
let sessions =
    Context.environment["SESSIONS_VERSION"].map { "Earlier/Version\($0)" } ?? "Sources/Sessions"

let package = Package(
    name: "session-service",
    platforms: [.macOS(.v26)],
    dependencies: [
        .package(name: "caesura", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "Sessions",
            dependencies: [.product(name: "Caesura", package: "caesura")],
            path: sessions),
        .executableTarget(
            name: "SessionService",
            dependencies: [
                "Sessions",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Caesura", package: "caesura"),
                .product(name: "CaesuraMigration", package: "caesura"),
                .product(name: "CaesuraNode", package: "caesura"),
                .product(name: "CaesuraNodeService", package: "caesura"),
                .product(name: "CaesuraRepository", package: "caesura"),
                .product(name: "CaesuraService", package: "caesura"),
                .product(name: "CaesuraTransport", package: "caesura"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .executableTarget(
            name: "SessionSchemas",
            dependencies: [
                "Sessions",
                .product(name: "CaesuraSchemas", package: "caesura"),
            ]),
        .testTarget(
            name: "SessionsTests",
            dependencies: [
                "Sessions",
                .product(name: "CaesuraTesting", package: "caesura"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
