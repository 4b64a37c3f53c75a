public import Asynq
internal import RedisClient

/// Semaphores, as Go's asynq keeps them in `x/rate`.
extension RedisBroker {
    public func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? {
        let key = RedisKeys.semaphore(request.scope)
        var call = ScriptCall.Builder(.acquirePermit, keys: [key], argumentCount: 3)
        call.append(request.limit)
        call.append(request.holder)
        call.append(request.seconds)
        let reply = try await reply(call.finish(), key)
        guard let deadline = reply.int else {
            throw AsynqError(.brokerFailure, "unexpected reply to the request for a place in \"\(request.scope)\"")
        }
        guard deadline > 0 else { return nil }
        return PermitLease(scope: request.scope, holder: request.holder, deadline: deadline)
    }

    public func releasePermit(_ lease: PermitLease) async throws -> Bool {
        let key = RedisKeys.semaphore(lease.scope)
        var call = ScriptCall.Builder(.releasePermit, keys: [key], argumentCount: 2)
        call.append(lease.holder)
        call.append(lease.deadline)
        return try await reply(call.finish(), key).int == 1
    }

    /// The reply to a script with one key.
    private func reply(_ call: ScriptCall, _ key: String) async throws(AsynqError) -> RESPValue {
        try await scripts.run([.init(call, .key(key))])[0].get()
    }
}
