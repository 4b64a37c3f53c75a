public import Asynq
public import GRDB

/// Tasks that are stored together with an application's own data, or not at all.
extension SQLiteBroker {
    /// Enqueues a task within a transaction of the application: both commit, or neither. The application's tables and the
    /// tasks are in one file.
    ///
    /// ```swift
    /// let database = try DatabasePool(path: "shop.db")
    /// let broker = try SQLiteBroker(path: "shop.db")
    ///
    /// try await database.write { db in
    ///     try order.insert(db)
    ///     try broker.enqueue(ConfirmationEmail(orderID: order.id), in: db)
    /// }
    /// ```
    ///
    /// The file is in WAL mode once a broker has opened it, which suits `DatabaseQueue` and `DatabasePool` alike. Give your
    /// connection a `busyMode` such as `.timeout(5)`: GRDB does not wait for other writers, of which the broker is one,
    /// unless it is told to.
    ///
    /// - Parameter db: of a transaction on the broker's file.
    /// - Returns: the task as it will be stored when the transaction is committed.
    /// - Throws: ``AsynqError`` as `AsynqClient.enqueue` does: `invalidArgument` also if the transaction is on another
    ///   file; `duplicateTask` or `taskIDConflict`, after which the transaction can go on. `DatabaseError` as any other
    ///   statement does.
    @discardableResult
    public func enqueue(_ task: AsynqTask, _ options: TaskOption..., in db: Database) throws -> TaskInfo {
        try enqueue(task, options: options, in: db)
    }

    /// Enqueues a typed payload within a transaction of the application, as ``enqueue(_:_:in:)-(AsynqTask,_,_)`` does.
    @discardableResult
    public func enqueue(_ payload: some TaskPayload, _ options: TaskOption..., in db: Database) throws -> TaskInfo {
        try enqueue(try payload.asTask(), options: options, in: db)
    }

    private func enqueue(_ task: AsynqTask, options: [TaskOption], in db: Database) throws -> TaskInfo {
        let request = try EnqueueRequest(task, options: options, ids: taskIDScheme)
        guard db.isInsideTransaction else {
            throw AsynqError(.invalidArgument, "there is no transaction: enqueue within write { db in … }")
        }
        guard try isOwnFile(db) else {
            throw AsynqError(
                .invalidArgument,
                "the transaction is on another file than the broker's, \(file.path): they must be the same"
            )
        }
        let store = TaskStore(db: db, now: time())
        // A failure half-way, such as a full disk, leaves nothing behind that the application would then commit.
        var result: Result<EnqueueReceipt, AsynqError>?
        try db.inSavepoint {
            result = try store.enqueue([request]).first
            return .commit
        }
        guard let receipt = try result?.get() else { throw AsynqError(.brokerFailure, "the task was not stored") }
        let changes = (store.changes.pending, store.changes.due, store.changes.groups)
        db.afterNextTransaction { [watches] _ in watches.changed(pending: changes.0, due: changes.1, groups: changes.2)
        }
        return TaskInfo(request.message, state: receipt.state, nextProcessAt: receipt.nextProcessAt)
    }

    /// Whether the connection is to the broker's file.
    private func isOwnFile(_ db: Database) throws -> Bool { try SQLiteFile.realPath(db) == file.realPath }
}
