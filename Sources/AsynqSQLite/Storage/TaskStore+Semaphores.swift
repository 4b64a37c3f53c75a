internal import Asynq
internal import GRDB

extension TaskStore {
    func acquirePermit(_ request: PermitRequest) throws -> PermitLease? {
        let (scope, holder, time) = (stored(request.scope), stored(request.holder), now / second)
        try execute("DELETE FROM asynq_permit WHERE scope = ? AND deadline < ?", [scope, time])
        let others = try Int.fetchOne(
            try statement("SELECT count(*) FROM asynq_permit WHERE scope = ? AND holder <> ?"),
            arguments: [scope, holder]
        )
        let isHolder = try Bool.fetchOne(
            try statement("SELECT EXISTS (SELECT 1 FROM asynq_permit WHERE scope = ? AND holder = ?)"),
            arguments: [scope, holder]
        )
        guard isHolder == true || (others ?? 0) < request.limit else { return nil }
        let deadline = time + request.seconds
        try execute("INSERT OR REPLACE INTO asynq_permit VALUES (?, ?, ?)", [scope, holder, deadline])
        return PermitLease(scope: request.scope, holder: request.holder, deadline: deadline)
    }

    func releasePermit(_ lease: PermitLease) throws -> Bool {
        try execute(
            "DELETE FROM asynq_permit WHERE scope = ? AND holder = ? AND deadline = ?",
            [stored(lease.scope), stored(lease.holder), lease.deadline]
        )
        return db.changesCount > 0
    }
}
