internal import Crypto

/// A Lua script: a file in Scripts/, embedded in the code.
package struct RedisScript: Sendable {
    package let name: String
    package let source: [UInt8]
    /// What EVALSHA calls it by.
    package let sha1: String

    init(_ name: String, _ source: [UInt8]) {
        self.name = name
        self.source = source
        sha1 = hexadecimal(Insecure.SHA1.hash(data: source))
    }

    static let enqueue = RedisScript("enqueue", PackageResources.enqueue_lua)
    static let enqueueWithOptions = RedisScript("enqueue_with_options", PackageResources.enqueue_with_options_lua)
    static let dequeue = RedisScript("dequeue", PackageResources.dequeue_lua)
    static let done = RedisScript("done", finishing(PackageResources.done_lua))
    static let complete = RedisScript("complete", finishing(PackageResources.complete_lua))
    static let retry = RedisScript("retry", finishing(PackageResources.retry_lua))
    static let archive = RedisScript("archive", finishing(PackageResources.archive_lua))
    static let requeue = RedisScript("requeue", finishing(PackageResources.requeue_lua))
    static let extendLeases = RedisScript("extend_leases", leasing(PackageResources.extend_leases_lua))
    static let forward = RedisScript("forward", PackageResources.forward_lua)
    static let expiredLeases = RedisScript("expired_leases", PackageResources.expired_leases_lua)
    static let deleteExpiredCompleted = RedisScript(
        "delete_expired_completed",
        PackageResources.delete_expired_completed_lua
    )
    static let writeResult = RedisScript("write_result", leasing(PackageResources.write_result_lua))
    static let acquirePermit = RedisScript("acquire_permit", PackageResources.acquire_permit_lua)
    static let releasePermit = RedisScript("release_permit", PackageResources.release_permit_lua)
    static let writeServerState = RedisScript("write_server_state", PackageResources.write_server_state_lua)
    static let moveTasks = RedisScript("move_tasks", moving(PackageResources.move_tasks_lua))
    static let moveSome = RedisScript("move_some", moving(PackageResources.move_some_lua))
    static let inspectQueue = RedisScript("inspect_queue", finishing(PackageResources.inspect_queue_lua))
    static let history = RedisScript("history", finishing(PackageResources.history_lua))
    static let listTasks = RedisScript("list_tasks", PackageResources.list_tasks_lua)
    static let getTasks = RedisScript("get_tasks", PackageResources.get_tasks_lua)
    static let pause = RedisScript("pause", PackageResources.pause_lua)
    static let updatePayload = RedisScript("update_payload", PackageResources.update_payload_lua)
    static let deleteQueue = RedisScript("delete_queue", finishing(PackageResources.delete_queue_lua))
    static let listServers = RedisScript("list_servers", PackageResources.list_servers_lua)
    static let enqueueOccurrences = RedisScript(
        "enqueue_occurrences",
        asFunction("enqueue", PackageResources.enqueue_with_options_lua) + PackageResources.enqueue_occurrences_lua
    )
    static let entryMarks = RedisScript("entry_marks", PackageResources.entry_marks_lua)
    static let schedulerLease = RedisScript("scheduler_lease", PackageResources.scheduler_lease_lua)
    static let releaseSchedulerLease = RedisScript(
        "release_scheduler_lease",
        PackageResources.release_scheduler_lease_lua
    )
    static let writeSchedulerEntries = RedisScript(
        "write_scheduler_entries",
        PackageResources.write_scheduler_entries_lua
    )

    private static func moving(_ source: [UInt8]) -> [UInt8] {
        PackageResources.shared_move_lua + source
    }

    /// A script that another one calls with keys and arguments of its choice.
    private static func asFunction(_ name: String, _ source: [UInt8]) -> [UInt8] {
        Array("local function \(name)(KEYS, ARGV)\n".utf8) + source + Array("\nend\n".utf8)
    }

    static let stageGroups = RedisScript("stage_groups", PackageResources.stage_groups_lua)
    static let completeAggregation = RedisScript(
        "complete_aggregation",
        Array("local function enqueue()\n".utf8) + PackageResources.enqueue_with_options_lua + Array("end\n".utf8)
            + PackageResources.complete_aggregation_lua
    )
    static let returnAggregationSets = RedisScript(
        "return_aggregation_sets",
        PackageResources.return_aggregation_sets_lua
    )
    static let archiveStaged = RedisScript("archive_staged", finishing(PackageResources.archive_staged_lua))

    private static func finishing(_ source: [UInt8]) -> [UInt8] {
        leasing(PackageResources.shared_finish_lua + source)
    }

    private static func leasing(_ source: [UInt8]) -> [UInt8] {
        PackageResources.shared_lease_lua + source
    }
}
