public import Asynq
internal import Logging
internal import NIOCore
internal import RedisClient

extension RedisBroker {
    public func servers() async throws -> [ServerInfo] {
        let lists = [RedisKeys.servers, RedisKeys.workers].map { key in
            ScriptRunner.Request(
                ScriptCall.Builder(.listServers, keys: [key], argumentCount: 0).finish(),
                .key(key)
            )
        }
        let keys = try await scripts.run(lists)[0].get().array?.compactMap(\.string) ?? []
        let reads = keys.flatMap { key in
            // The names of both differ in their beginnings only.
            let workers = RedisKeys.workers + key.dropFirst(RedisKeys.servers.count)
            return [
                ScriptRunner.Request(RESPCommand("GET", key), .key(key)),
                ScriptRunner.Request(RESPCommand("HVALS", workers), .key(workers)),
            ]
        }
        let replies = await scripts.run(reads)
        var servers: [ServerInfo] = []
        for (index, key) in keys.enumerated() {
            // It may have expired since.
            guard let info = try replies[2 * index].get().buffer else { continue }
            let workers = try replies[2 * index + 1].get().array?.compactMap(\.buffer) ?? []
            do {
                servers.append(try ServerInfo(decoding: info, workers: workers))
            } catch {
                logger.warning("left out a server whose state cannot be read", metadata: ["key": "\(key)"])
            }
        }
        return servers
    }

    public func info() async throws -> BrokerInfo {
        let text = try await reply(RESPCommand("INFO"), .any).string ?? ""
        var sections: [BrokerInfo.Section] = []
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("#") {
                sections.append(.init(String(line.drop { $0 == "#" || $0 == " " }), []))
            } else if let colon = line.firstIndex(of: ":") {
                if sections.isEmpty { sections.append(.init("", [])) }
                let value = line[line.index(after: colon)...]
                sections[sections.count - 1].entries.append(.init(String(line[..<colon]), String(value)))
            }
        }
        var info = BrokerInfo(kind: "redis", address: name, version: "", sections: sections)
        // Valkey gives its own version beside that of the Redis that it is compatible with.
        info.version = info["valkey_version"] ?? info["redis_version"] ?? ""
        return info
    }

    public func clusterNodes() async throws -> String? {
        try await reply(RESPCommand("CLUSTER", "NODES"), .any).string
    }

    public func keySlot(of queue: String) -> Int? { KeySlot.slot(of: keys(queue).base) }

    public func nodes(of queue: String) async throws -> [String] {
        do {
            return try await redis.nodes(of: .key(keys(queue).base)).map(\.description)
        } catch {
            throw AsynqError(error)
        }
    }
}
