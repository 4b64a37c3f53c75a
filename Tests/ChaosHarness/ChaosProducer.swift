import Asynq
import AsynqRedis
import AsynqSQLite
import Foundation
import Logging
import RedisClient
import Synchronization

/// A producer of a run: several callers enqueue batches, each again until it is answered. What the broker has acknowledged is in
/// its journal.
final class ChaosProducer: Sendable {
    private static let callers = 4

    private let client: AsynqClient
    private let journal: Journal
    private let name: String
    private let seed: UInt64
    /// Tasks in a second, of all callers.
    private let rate: Int
    /// How many replicas must confirm each enqueue.
    private let replicas: Int
    private let isEnding = Atomic(false)
    private let numbers = Atomic<Int>(0)

    init(_ broker: any Broker, journal: Journal, name: String, seed: UInt64, rate: Int, replicas: Int) {
        client = AsynqClient(broker)
        self.journal = journal
        self.name = name
        self.seed = seed
        self.rate = rate
        self.replicas = replicas
    }

    /// Enqueues until SIGTERM, and then what has been begun.
    ///
    /// - Parameter poison: how many tasks that kill their process are enqueued first.
    static func run(
        _ uri: String,
        journal path: String,
        name: String,
        seed: UInt64,
        rate: Int,
        replicas: Int,
        poison: Int
    ) async throws {
        let broker = try ChaosBroker.make(uri, replicas: replicas)
        let producer = ChaosProducer(
            broker,
            journal: try Journal(path),
            name: name,
            seed: seed,
            rate: rate,
            replicas: replicas
        )
        signal(SIGTERM, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        source.setEventHandler { producer.isEnding.store(true, ordering: .relaxed) }
        source.resume()
        if poison > 0 {
            let tasks = (0..<poison).map { number in
                ChaosTask(
                    id: "\(name)-poison\(number)",
                    kind: .poison,
                    queue: "default",
                    delay: .seconds(2 + 5 * number)
                )
            }
            await producer.store(tasks)
        }
        await withDiscardingTaskGroup { group in
            for caller in 0..<callers { group.addTask { await producer.produce(caller) } }
        }
        source.cancel()
        await broker.shutdown()
    }

    private func produce(_ caller: Int) async {
        var generator = SeededNumbers(seed: seed, stream: "\(name) \(caller)")
        let start = JournalClock.now()
        var count = 0
        while !isEnding.load(ordering: .relaxed) {
            let size = [1, 5, 20, 60, 150].randomElement(using: &generator) ?? 1
            let onlyPlain = Bool.random(using: &generator)
            let tasks = (0..<size).map { _ in
                let number = numbers.add(1, ordering: .relaxed).newValue
                return ChaosTask.random(id: "\(name)-\(number)", onlyPlain: onlyPlain, using: &generator)
            }
            await store(tasks)
            count += size
            let ahead = Int64(count * Self.callers) * 1_000_000_000 / Int64(rate) - (JournalClock.now() - start)
            // What was lost while the broker was away is not made up for.
            if ahead > 0 { try? await Task.sleep(for: .nanoseconds(ahead)) }
        }
    }

    /// Enqueues tasks until each is answered.
    func store(_ tasks: [ChaosTask]) async {
        let sentAt = JournalClock.now()
        var left = tasks
        var tries = 0
        while !left.isEmpty {
            tries += 1
            let results = await client.enqueue(batch: left.map(\.asynqTask))
            var again: [ChaosTask] = []
            var entries: [Entry] = []
            var codes: Set<String> = []
            for (task, result) in zip(left, results) {
                var isSafe = true
                switch result {
                case .success: break
                case .failure(let error) where error.code == .taskIDConflict && tries > 1:
                    // It was stored although the answer was lost; nobody has confirmed that it is safe.
                    isSafe = replicas == 0
                case .failure(let error) where error.code == .notReplicated: isSafe = false
                case .failure(let error) where error.code == .duplicateTask && task.kind == .unique: continue
                case .failure(let error):
                    // What a server said, in a word.
                    let word = (error.cause as? RedisError)?.serverCode
                    codes.insert("\(error.code)\(word.map { ":\($0)" } ?? "")")
                    again.append(task)
                    continue
                }
                entries.append(.acknowledged(acknowledgement(task, sentAt, tries, isSafe)))
            }
            journal.add(entries + codes.sorted().map { .failed(code: $0) })
            left = again
            if !left.isEmpty { try? await Task.sleep(for: .milliseconds(Int.random(in: 20...200))) }
        }
    }

    private func acknowledgement(
        _ task: ChaosTask,
        _ sentAt: Int64,
        _ tries: Int,
        _ isConfirmed: Bool
    ) -> Entry.Acknowledgement {
        Entry.Acknowledgement(
            id: task.id,
            kind: task.kind,
            queue: task.queue,
            key: task.key,
            earliest: sentAt + Int64(task.delay / .nanoseconds(1)),
            tries: tries,
            isConfirmed: isConfirmed
        )
    }
}

extension ChaosBroker {
    /// - Parameters:
    ///   - uri: of a Redis, or `sqlite:` and a path.
    ///   - replicas: how many must confirm each enqueue.
    static func make(_ uri: String, replicas: Int) throws -> any Broker {
        let scheme = "sqlite:"
        if uri.hasPrefix(scheme) {
            return try SQLiteBroker(path: String(uri.dropFirst(scheme.count)), logger: logger("broker"))
        }
        return try RedisBroker(
            configuration: RedisConfiguration(uri),
            durability: replicas > 0 ? .replicas(replicas, within: .seconds(1)) : .master,
            logger: logger("broker")
        )
    }
}
