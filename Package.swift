// swift-tools-version: 6.2
import PackageDescription

/// Set by the Makefile and by CI: a warning in this package is an error there, and stays a warning for a user.
let strict = Context.environment["ASYNQ_STRICT"] == "1"

/// Set by `make docs`: who only uses this package does not resolve the tool that writes its documentation.
let docs = Context.environment["ASYNQ_DOCS"] == "1"

/// Set by `make fuzz-bytes`: what reads foreign bytes is built for libFuzzer.
let fuzz = Context.environment["ASYNQ_FUZZ"] == "1"

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : []) + (fuzz ? [.unsafeFlags(["-sanitize=fuzzer"])] : [])

let package = Package(
    name: "swift-asynq",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "asynq", targets: ["AsynqCommand"]),
        .library(name: "Asynq", targets: ["Asynq"]),
        .library(name: "AsynqDashboard", targets: ["AsynqDashboard"]),
        .library(name: "AsynqMetrics", targets: ["AsynqMetrics"]),
        .library(name: "AsynqRedis", targets: ["AsynqRedis"]),
        .library(name: "AsynqSQLite", targets: ["AsynqSQLite"]),
        .library(name: "AsynqTesting", targets: ["AsynqTesting"]),
    ] + (fuzz ? [.library(name: "AsynqFuzz", type: .static, targets: ["AsynqFuzz"])] : []),
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ] + (docs ? [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")] : []),
    targets: [
        .target(
            name: "Asynq",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .target(name: "AsynqMetrics", dependencies: ["Asynq"], swiftSettings: settings),
        .target(
            name: "RedisClient",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "AsynqRedis",
            dependencies: [
                "Asynq",
                "RedisClient",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Messages/asynq.proto"],
            resources: [.embedInCode("Scripts")],
            swiftSettings: settings
        ),
        .target(
            name: "AsynqSQLite",
            dependencies: [
                "Asynq",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "AsynqTesting",
            dependencies: [
                "Asynq",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "AsynqDashboard",
            dependencies: [
                "Asynq",
                "AsynqMetrics",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            exclude: ["Resources"],
            swiftSettings: settings
        ),
        .target(
            name: "AsynqCLI",
            dependencies: [
                "Asynq",
                "AsynqDashboard",
                "AsynqMetrics",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        // Not named as the program: on some systems asynq and Asynq are one name.
        .executableTarget(name: "AsynqCommand", dependencies: ["AsynqCLI"], swiftSettings: settings),
        .executableTarget(
            name: "Quickstart",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/Quickstart",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Outbox",
            dependencies: [
                "Asynq",
                "AsynqSQLite",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/Outbox",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Inspector",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/Inspector",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Aggregation",
            dependencies: ["Asynq", "AsynqRedis", "AsynqSQLite", .product(name: "Logging", package: "swift-log")],
            path: "Examples/Aggregation",
            swiftSettings: settings
        ),
        // The code of the documentation. (A target of swift-docc-plugin is named Snippets.)
        .target(
            name: "DocumentationCode",
            dependencies: [
                "Asynq",
                "AsynqDashboard",
                "AsynqMetrics",
                "AsynqRedis",
                "AsynqSQLite",
                "AsynqTesting",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Examples/Snippets",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Readme",
            dependencies: ["Asynq", "AsynqSQLite"],
            path: "Examples/Readme",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Semaphore",
            dependencies: ["Asynq", "AsynqSQLite", .product(name: "Logging", package: "swift-log")],
            path: "Examples/Semaphore",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Scheduler",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/Scheduler",
            swiftSettings: settings
        ),
        .target(
            name: "TestSupport",
            dependencies: ["RedisClient", .product(name: "Logging", package: "swift-log")],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqTests",
            dependencies: ["Asynq", "AsynqTesting", "TestSupport", .product(name: "Logging", package: "swift-log")],
            resources: [.copy("Fixtures")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqSQLiteTests",
            dependencies: [
                "Asynq",
                "AsynqSQLite",
                "AsynqTesting",
                "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqTestingTests",
            dependencies: ["Asynq", "AsynqTesting"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RedisClientTests",
            dependencies: [
                "RedisClient",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqRedisTests",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqTesting",
                "RedisClient",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqDashboardTests",
            dependencies: [
                "Asynq",
                "AsynqDashboard",
                "AsynqRedis",
                "AsynqSQLite",
                "AsynqTesting",
                "TestSupport",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqMetricsTests",
            dependencies: ["Asynq", "AsynqMetrics", "AsynqTesting"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ObservabilityTests",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqTesting",
                "TestSupport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AsynqCLITests",
            dependencies: [
                "Asynq",
                "AsynqCLI",
                "AsynqCommand",
                "AsynqDashboard",
                "AsynqRedis",
                "AsynqSQLite",
                "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                "AsynqTesting",
                "AllocationProbe",
                "RedisClient",
                "TestScheduler",
                "TestSupport",
                "TestWorker",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(name: "CountedAllocations", path: "Tests/CountedAllocations"),
        .executableTarget(
            name: "AllocationProbe",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "CountedAllocations",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/AllocationProbe",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "TestWorker",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/TestWorker",
            swiftSettings: settings
        ),
        .target(
            name: "ChaosHarness",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                "RedisClient",
                "TestSupport",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/ChaosHarness",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Chaos",
            dependencies: ["ChaosHarness"],
            path: "Tests/Chaos",
            swiftSettings: settings
        ),
        .testTarget(
            name: "ChaosTests",
            dependencies: [
                "ChaosHarness",
                "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "TestScheduler",
            dependencies: [
                "Asynq",
                "AsynqRedis",
                "AsynqSQLite",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/TestScheduler",
            swiftSettings: settings
        ),
    ]
        + (fuzz
            ? [
                .target(
                    name: "AsynqFuzz",
                    dependencies: [
                        "Asynq", "AsynqRedis", "RedisClient", .product(name: "NIOCore", package: "swift-nio"),
                    ],
                    path: "Fuzzing",
                    exclude: ["Corpus"],
                    swiftSettings: settings
                )
            ] : []),
    swiftLanguageModes: [.v6]
)
