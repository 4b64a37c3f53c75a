import Asynq

/// The figures of a queue at one moment, as the history keeps them.
struct HistorySample: Sendable, Hashable {
    /// Unix seconds.
    var time: Double
    var size: Int
    var pending: Int
    var retry: Int
    var archived: Int
    var latency: Double
    var memory: Int
    /// Attempts that ever ended, and failed.
    var processed: Int
    var failed: Int
}

extension HistorySample {
    init(_ snapshot: QueueSnapshot, time: Double) {
        self.init(
            time: time,
            size: snapshot.size,
            pending: snapshot.pending,
            retry: snapshot.retry,
            archived: snapshot.archived,
            latency: max(0, snapshot.latency / .seconds(1)),
            memory: snapshot.memoryUsage ?? 0,
            processed: snapshot.processed,
            failed: snapshot.failed
        )
    }
}

/// The last samples, in the order of time.
struct SampleRing: Sendable {
    private let capacity: Int
    private var samples: [HistorySample] = []
    /// Where the oldest stands, once the ring is full.
    private var start = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    var last: HistorySample? { samples.isEmpty ? nil : samples[(start + samples.count - 1) % samples.count] }
    var first: HistorySample? { samples.isEmpty ? nil : samples[start] }
    var count: Int { samples.count }

    mutating func append(_ sample: HistorySample) {
        if samples.count < capacity {
            samples.append(sample)
        } else {
            samples[start] = sample
            start = (start + 1) % capacity
        }
    }

    /// Those of a span of time.
    func samples(in range: ClosedRange<Double>) -> [HistorySample] {
        (samples[start...] + samples[..<start]).filter { range.contains($0.time) }
    }
}
