public import Asynq

extension MemoryBroker {
    public func acquirePermit(_ request: PermitRequest) async throws -> PermitLease? {
        try check()
        return change { state, now in
            let time = now / second
            var places = state.semaphores[request.scope, default: [:]].filter { $0.value >= time }
            defer { state.semaphores[request.scope] = places.isEmpty ? nil : places }
            guard places[request.holder] != nil || places.count < request.limit else { return nil }
            let deadline = time + request.seconds
            places[request.holder] = deadline
            return PermitLease(scope: request.scope, holder: request.holder, deadline: deadline)
        }
    }

    public func releasePermit(_ lease: PermitLease) async throws -> Bool {
        try check()
        return change { state, _ in
            guard state.semaphores[lease.scope]?[lease.holder] == lease.deadline else { return false }
            state.semaphores[lease.scope]?[lease.holder] = nil
            return true
        }
    }
}
