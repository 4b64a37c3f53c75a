/// What the fields of the JSON mean; a test compares their names with what is printed.
enum JSONDocumentation {
    struct Object {
        let name: String
        /// Which commands print it, and under which key.
        let place: String
        let fields: [(key: String, meaning: String)]
    }

    static let queue = Object(
        name: "queue",
        place: "`queues` of `stats`, `queue ls`, `queue inspect`",
        fields: [
            ("queue", "its name"), ("paused", "whether it is paused"), ("paused_at", "since when, or null"),
            ("size", "tasks in all states"), ("active", "tasks that run"), ("pending", "tasks that wait for a worker"),
            ("aggregating", "tasks in groups"), ("scheduled", "tasks that wait for their time"),
            ("retry", "tasks that failed and wait for their next attempt"), ("archived", "tasks that were given up"),
            ("completed", "tasks that are done and kept"), ("groups", "groups with tasks"),
            ("latency_msec", "how long the oldest pending task has waited"),
            ("memory_usage_bytes", "about how much its tasks take, or null"),
            ("processed", "attempts that ended today (UTC)"), ("succeeded", "those that succeeded"),
            ("failed", "those that failed"), ("processed_total", "attempts that ever ended"),
            ("failed_total", "those that failed"), ("timestamp", "the broker's time"),
        ]
    )

    static let task = Object(
        name: "task",
        place: "`tasks` of `task ls`, `task inspect`; `task` of `task enqueue`",
        fields: [
            ("id", "its id"), ("queue", "its queue"), ("type", "its type"),
            ("payload", "as text; null if it is no UTF-8, and then `payload_base64` has it"), ("state", "where it is"),
            ("max_retry", "how often it may be tried again"), ("retried", "how often it was"),
            ("error_message", "why the last attempt failed, or null"), ("last_failed_at", "when, or null"),
            ("timeout_seconds", "limit of an attempt, or null"),
            ("deadline", "when no attempt may run any more, or null"),
            ("next_process_at", "when it may start, or null"), ("completed_at", "when it succeeded, or null"),
            ("retention_seconds", "how long it is kept after that"), ("group", "its group, or null"),
            ("is_orphaned", "whether it is active with no lease"), ("headers", "an object of its headers"),
            ("result", "what its handler wrote, as `payload`"),
        ]
    )

    static let server = Object(
        name: "server",
        place: "`servers` of `server ls`",
        fields: [
            ("id", "its id"), ("host", "its host"), ("pid", "its process"), ("status", "`active` or `stopped`"),
            ("concurrency", "handlers at once"), ("queue_priorities", "an object of queues and their priorities"),
            ("strict_priority_enabled", "whether they are strict"), ("start_time", "since when it runs"),
            (
                "active_workers",
                "what it runs: `task_id`, `queue`, `task_type`, `task_payload`, `start_time`, `deadline`"
            ),
        ]
    )

    static let entry = Object(
        name: "entry",
        place: "`entries` of `cron ls`",
        fields: [
            ("id", "its id"), ("spec", "when it is due"), ("task_type", "type of its tasks"),
            ("task_payload", "their payload, as `payload`"), ("options", "their options as text"),
            ("next_enqueue_at", "when it is due next, or null"), ("prev_enqueue_at", "when it was due last, or null"),
        ]
    )

    static let all = [queue, task, server, entry]

    static let markdown: String =
        """
        Every command that prints data prints it as JSON with `--json`: one object, whose keys stay as they are; keys may be
        added. Times are RFC 3339 in UTC. What a payload, a result or a name holds is not shortened.

        | command | keys of its object |
        |---|---|
        | `stats` | `broker` (`kind`, `address`, `version`, `uptime_seconds`, `connections`, `memory_bytes`), `totals`, `queues` |
        | `queue ls`, `queue inspect` | `queues` |
        | `queue history` | `history`: `queue`, `date`, `processed`, `succeeded`, `failed` |
        | `task ls` | `tasks`, `page`, `page_size`, `page_count`, `total` |
        | `task inspect` | `tasks` |
        | `task enqueue` | `task` |
        | `task runall`, `archiveall`, `deleteall` | `run`, `archived`, `deleted`: how many |
        | `group ls` | `queue`, `groups`: `group`, `size` |
        | `server ls` | `servers` |
        | `cron ls` | `entries` |
        | `cron history` | `events`: `entry`, `task_id`, `enqueued_at` |
        | `doctor` | `checks`: `check`, `status` (`ok`, `warn`, `fail`), `message`, `advice` |
        | `watch` | an object on each line: `timestamp`, a number for each state, `processed`, `failed`, `processed_per_second` |
        | `bench` | `tasks`, `payload_bytes`, `concurrency`, `enqueued_per_second`, `processed_per_second` |
        | `version` | `version` |

        """
        + all.map { object in
            "\n### \(object.name)\n\nIn \(object.place).\n\n| field | |\n|---|---|\n"
                + object.fields.map { "| `\($0.key)` | \($0.meaning) |\n" }.joined()
        }.joined()
}
