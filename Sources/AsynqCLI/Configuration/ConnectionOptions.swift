import ArgumentParser

/// Which broker to talk to; the same in all commands.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: [.customShort("u"), .long],
        help: ArgumentHelp(
            "The broker: host:port, redis://…, rediss://…, redis-socket://… or sqlite:PATH. (default: 127.0.0.1:6379)",
            valueName: "uri"
        )
    )
    var uri: String?

    @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Number of the Redis database.", valueName: "number"))
    var db: Int?

    @Option(name: [.customShort("U"), .long], help: ArgumentHelp("ACL user of Redis.", valueName: "name"))
    var username: String?

    @Option(
        name: [.customShort("p", allowingJoined: true), .long],
        help: ArgumentHelp(
            "Password of Redis. ASYNQ_PASSWORD keeps it out of the list of processes.",
            valueName: "text"
        )
    )
    var password: String?

    @Flag(help: "Connect to a Redis Cluster.")
    var cluster = false

    @Option(help: ArgumentHelp("Addresses of its nodes, with commas between them.", valueName: "addresses"))
    var clusterAddrs: String?

    @Flag(help: "Encrypt the connection.")
    var tls = false

    @Option(help: ArgumentHelp("Name in the server's certificate, if not the host. Encrypts.", valueName: "name"))
    var tlsServer: String?

    @Flag(help: "Do not check the server's certificate. Encrypts.")
    var insecure = false

    @Option(help: ArgumentHelp("File of these options. (default: ~/.asynq.yaml or ~/.asynq.json)", valueName: "path"))
    var config: String?
}

/// How to print.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false
}
