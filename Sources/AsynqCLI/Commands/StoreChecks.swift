import Asynq

/// What a store's own figures tell of it.
struct StoreChecks {
    private let info: BrokerInfo

    init(_ info: BrokerInfo) {
        self.info = info
    }

    var findings: [Finding] {
        info.kind == "redis" ? [version, eviction, memory, persistence, replication, role] : [file]
    }

    private var file: Finding {
        Finding("store", .ok, "SQLite \(info.version), journal \(info["journal_mode"] ?? "not known")")
    }

    private var version: Finding {
        let product = info["valkey_version"] == nil ? "Redis" : "Valkey"
        let numbers = info.version.split(separator: ".").compactMap { Int($0) } + [0, 0]
        let isValkey = product == "Valkey"
        guard (numbers[0], numbers[1]) >= (isValkey ? (7, 2) : (6, 2)) else {
            return Finding(
                "version",
                .fail,
                "\(product) \(info.version) is too old",
                advice: "use Redis 6.2 or Valkey 7.2, or later"
            )
        }
        return Finding("version", .ok, "\(product) \(info.version)")
    }

    private var eviction: Finding {
        let policy = info["maxmemory_policy"] ?? "not known"
        guard policy != "noeviction", info["maxmemory_policy"] != nil else {
            return Finding("eviction", .ok, "nothing is evicted when the memory is full (\(policy))")
        }
        let isLimited = info["maxmemory"] != "0"
        return Finding(
            "eviction",
            isLimited ? .fail : .warn,
            "maxmemory-policy is \(policy): Redis deletes tasks when its memory is full"
                + (isLimited ? "" : " (there is no limit now)"),
            advice: "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
        )
    }

    private var memory: Finding {
        let limit = info["maxmemory"].flatMap { Int($0) } ?? 0
        let used = info["used_memory"].flatMap { Int($0) } ?? 0
        guard limit > 0 else { return Finding("memory", .ok, "\(Times.bytes(used)) used, no limit set") }
        let text = "\(Times.bytes(used)) of \(Times.bytes(limit)) used (\(Times.percent(used, of: limit)))"
        guard used > limit / 10 * 9 else { return Finding("memory", .ok, text) }
        return Finding(
            "memory",
            used >= limit ? .fail : .warn,
            text,
            advice: "raise maxmemory, or delete tasks: a full Redis refuses new ones"
        )
    }

    private var persistence: Finding {
        if info["loading"] == "1" {
            return Finding("persistence", .warn, "Redis is still loading its data", advice: "wait until it has")
        }
        if info["aof_enabled"] == "1" {
            guard info["aof_last_write_status"] == "ok" else {
                return Finding(
                    "persistence",
                    .fail,
                    "the append-only file could not be written",
                    advice: "look at the disk and at Redis's log"
                )
            }
            return Finding("persistence", .ok, "append-only file")
        }
        guard info["rdb_last_bgsave_status"] != "err" else {
            return Finding(
                "persistence",
                .fail,
                "the last snapshot failed",
                advice: "look at the disk and at Redis's log: writes may be refused until one succeeds"
            )
        }
        return Finding(
            "persistence",
            .warn,
            "no append-only file: a crash of Redis loses what is newer than its last snapshot, and all if it takes none",
            advice: "CONFIG SET appendonly yes, and the same in redis.conf, if tasks must not be lost"
        )
    }

    private var replication: Finding {
        let replicas = info["connected_slaves"].flatMap { Int($0) } ?? 0
        guard info["role"] != "slave" else {
            let isUp = info["master_link_status"] == "up"
            return Finding(
                "replication",
                isUp ? .ok : .fail,
                "a replica whose link to its master is \(isUp ? "up" : "down")",
                advice: isUp ? nil : "look at the master and at the network between them"
            )
        }
        return Finding(
            "replication",
            .ok,
            replicas == 0 ? "no replicas" : "\(replicas) replica\(replicas == 1 ? "" : "s")"
        )
    }

    private var role: Finding {
        guard info["role"] == "slave" else { return Finding("role", .ok, "takes writes") }
        return Finding(
            "role",
            .fail,
            "this Redis is a replica, and takes no writes",
            advice: "name the master in --uri"
        )
    }
}
