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
    static let extendLeases = RedisScript("extend_leases", PackageResources.extend_leases_lua)
    static let forward = RedisScript("forward", PackageResources.forward_lua)
    static let expiredLeases = RedisScript("expired_leases", PackageResources.expired_leases_lua)
    static let deleteExpiredCompleted = RedisScript(
        "delete_expired_completed",
        PackageResources.delete_expired_completed_lua
    )
    static let writeResult = RedisScript("write_result", PackageResources.write_result_lua)
    static let writeServerState = RedisScript("write_server_state", PackageResources.write_server_state_lua)

    private static func finishing(_ source: [UInt8]) -> [UInt8] {
        PackageResources.shared_finish_lua + source
    }
}
