// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "asynq-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-asynq", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .executableTarget(
            name: "asynq-bench",
            dependencies: [
                .product(name: "Asynq", package: "swift-asynq"),
                .product(name: "AsynqRedis", package: "swift-asynq"),
                .product(name: "AsynqSQLite", package: "swift-asynq"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/AsynqBench"
        )
    ],
    swiftLanguageModes: [.v6]
)
