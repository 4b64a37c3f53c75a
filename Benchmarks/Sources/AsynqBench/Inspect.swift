import ArgumentParser
import Asynq
import Synchronization

/// What inspectors cost: the figures of many queues, pages of long lists, and operations on all tasks of a state.
struct Inspect: AsyncParsableCommand {
    @OptionGroup var target: Target

    @Option(help: "Queues.")
    var queues = 100

    @Option(name: .shortAndLong, help: "Tasks in all queues together; as many again in one queue.")
    var n = 1_000_000

    func run() async throws {
        let broker = try target.makeBroker()
        try await broker.connect()
        let inspector = AsynqInspector(broker)
        let names = (0..<queues).map { _ in newQueue() }
        for name in names { try await target.fill(n / queues, queue: name, broker) }
        try await report("snapshots", tasks: n) { _ = try await broker.snapshots(of: names) }
        for name in names { try await inspector.deleteQueue(name, force: true) }

        let queue = newQueue()
        try await target.fill(n, queue: queue, broker)
        let pages = n / 30
        try await report("first page", tasks: n) { _ = try await inspector.tasks(in: .pending, queue: queue) }
        try await report("page in the middle", tasks: n) {
            _ = try await inspector.tasks(in: .pending, queue: queue, page: pages / 2)
        }
        let middle = try await inspector.tasks(in: .pending, queue: queue, page: pages / 2, pageSize: 30)
        let ids = middle.tasks.map(\.id)
        try await report("delete 30 in the middle", tasks: ids.count, runs: 1) {
            for result in try await inspector.delete(ids, queue: queue) { try result.get() }
        }
        // Without the limit of an archive, so that all stay.
        let left = n - ids.count
        try await schedule(left, queue, broker)
        try await report("run all scheduled", tasks: left, runs: 1) {
            try await whileServing(broker) { _ = try await inspector.runAll(.scheduled, queue: queue) }
        }
        try await report("archive all pending", tasks: 2 * left, runs: 1) {
            _ = try await inspector.archiveAll(.pending, queue: queue)
        }
        try await target.fill(n, queue: queue, broker)
        try await report("delete a queue", tasks: n, runs: 1) {
            _ = try await inspector.deleteQueue(queue, force: true)
        }
        await broker.shutdown()
    }

    private func schedule(_ count: Int, _ queue: String, _ broker: any Broker) async throws {
        let client = AsynqClient(broker)
        let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue), .processIn(.hours(24)))
        var left = count
        while left > 0 {
            let size = min(left, 10_000)
            for result in await client.enqueue(batch: Array(repeating: task, count: size)) { _ = try result.get() }
            left -= size
        }
    }

    /// Prints how soon an idle server, on another queue, starts tasks meanwhile.
    private func whileServing(_ broker: any Broker, _ body: @Sendable () async throws -> Void) async throws {
        let queue = newQueue()
        let client = AsynqClient(broker)
        let task = AsynqTask("bench:noop", payload: target.payload, .queue(queue))
        try await withServer(broker, queue, 10) { starts in
            let isOver = Mutex(false)
            var waits: [Double] = []
            async let work: Void = {
                defer { isOver.withLock { $0 = true } }
                try await body()
            }()
            while !isOver.withLock({ $0 }) {
                try await Task.sleep(for: .milliseconds(5))
                try await client.enqueue(task)
                let enqueued = ContinuousClock.now
                guard let start = await starts.next() else { break }
                waits.append(max(0, (start.instant - enqueued).seconds * 1000))
            }
            try await work
            waits.sort()
            var report = Report("inspect: pick-up meanwhile")
            report.add("tasks", waits.count)
            report.add("p50_ms", waits[waits.count / 2])
            report.add("p99_ms", waits[waits.count * 99 / 100])
            report.add("max_ms", waits.last ?? .nan)
            report.print()
        }
    }

    /// Prints the median.
    private func report(_ name: String, tasks: Int, runs: Int = 5, _ body: () async throws -> Void) async throws {
        var times: [Duration] = []
        for _ in 0..<runs { times.append(try await ContinuousClock().measure(body)) }
        times.sort()
        var report = Report("inspect: \(name)")
        report.add("queues", queues)
        report.add("ms", times[runs / 2].seconds * 1000)
        report.add(tasks: tasks, in: times[runs / 2])
        report.print()
    }
}
