// swift-tools-version: 6.3
import PackageDescription

// A package of its own, so that building the library builds no fuzzers.
let package = Package(
    name: "caesura-fuzz",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "caesura", path: "..")],
    targets: [
        .target(
            name: "FuzzTargets",
            dependencies: [
                .product(name: "Caesura", package: "caesura"),
                .product(name: "CaesuraFormat", package: "caesura"),
                .product(name: "CaesuraMigration", package: "caesura"),
                .product(name: "CaesuraNode", package: "caesura"),
                .product(name: "CaesuraRepository", package: "caesura"),
            ]),
        .executableTarget(name: "Replay", dependencies: ["FuzzTargets"]),
    ],
    swiftLanguageModes: [.v6]
)

// `Fuzz/run` sets this and links libFuzzer; without it nothing here needs it.
if Context.environment["CAESURA_LIBFUZZER"] != nil {
    package.targets.append(.executableTarget(name: "Fuzzer", dependencies: ["FuzzTargets"]))
}

for target in package.targets {
    var settings = target.swiftSettings ?? []
    settings += [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .strictMemorySafety(),
    ]
    target.swiftSettings = settings
}
