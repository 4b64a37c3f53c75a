import Asynq

enum Inspector {
    static func use(_ broker: any Broker) async throws {
        let inspector = AsynqInspector(broker)

        for queue in try await inspector.snapshots() {
            print(queue.queue, queue.size, queue.pending, queue.latency, queue.failedToday)
        }
        let failed = try await inspector.tasks(in: .archived, queue: "default", page: 1, pageSize: 30)
        for task in failed.tasks { print(task.id, task.type, task.lastError ?? "") }

        try await inspector.run(failed.tasks[0].id, queue: "default")
        let count = try await inspector.runAll(.archived, queue: "default") { progress in
            print("\(progress.done) done, \(progress.remaining) to go")
        }
        _ = count
    }
}
