import Asynq
import Synchronization

/// What the queues looked like: of each the last 360 samples, and one a minute of the last 24 hours. In memory: it begins anew
/// with the process.
final class History: Sendable {
    /// Of more queues none is kept: about 130 KB each.
    static let mostQueues = 256
    private static let fine = 360
    private static let coarse = 24 * 60
    private static let minute = 60.0

    private struct Track {
        var fine = SampleRing(capacity: History.fine)
        var coarse = SampleRing(capacity: History.coarse)

        mutating func add(_ sample: HistorySample) {
            fine.append(sample)
            // A little early is better than a step late.
            if coarse.last.map({ sample.time - $0.time >= History.minute - 1 }) ?? true { coarse.append(sample) }
        }

        /// The coarse ones until the fine ones begin.
        func samples(in range: ClosedRange<Double>) -> [HistorySample] {
            let close = fine.samples(in: range)
            let begin = fine.first?.time ?? .infinity
            return coarse.samples(in: range).filter { $0.time < begin } + close
        }

        var lastTime: Double { fine.last?.time ?? 0 }
    }

    private let tracks = Mutex<[String: Track]>([:])

    /// When the last sample was taken, in Unix seconds; 0 if none was.
    var lastTime: Double { tracks.withLock { $0.values.reduce(0) { max($0, $1.lastTime) } } }

    func add(_ snapshots: [QueueSnapshot], time: Double) {
        tracks.withLock { tracks in
            for snapshot in snapshots {
                if tracks[snapshot.queue] == nil, tracks.count >= Self.mostQueues {
                    // One that is not there any more makes room.
                    let names = Set(snapshots.map(\.queue))
                    guard let gone = tracks.keys.first(where: { !names.contains($0) }) else { continue }
                    tracks[gone] = nil
                }
                tracks[snapshot.queue, default: Track()].add(HistorySample(snapshot, time: time))
            }
            let oldest = time - Double(Self.coarse) * Self.minute
            tracks = tracks.filter { $0.value.lastTime > oldest }
        }
    }

    /// Samples by queue, sorted by its name.
    ///
    /// - Parameters:
    ///   - queues: `nil`: all.
    ///   - range: Unix seconds.
    ///   - step: seconds; of each step the last sample.
    func samples(
        of queues: Set<String>?,
        in range: ClosedRange<Double>,
        step: Double
    ) -> [(queue: String, samples: [HistorySample])] {
        let found = tracks.withLock { tracks in
            tracks.filter { queues?.contains($0.key) ?? true }.map { ($0.key, $0.value.samples(in: range)) }
        }
        return found.sorted { $0.0 < $1.0 }.map { queue, samples in
            var thinned: [HistorySample] = []
            for sample in samples {
                if let last = thinned.last, (last.time / step).rounded(.down) == (sample.time / step).rounded(.down) {
                    thinned[thinned.count - 1] = sample
                } else {
                    thinned.append(sample)
                }
            }
            return (queue, thinned)
        }
    }
}
