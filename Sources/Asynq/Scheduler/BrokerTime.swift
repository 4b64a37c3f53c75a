import Synchronization

/// The broker's time of day, as far as its last answer and the time since then tell. So it is the same for all schedulers, and
/// the clock of this machine may be wrong.
final class BrokerTime: Sendable {
    private struct Reading {
        /// Unix microseconds.
        let time: Int64
        let at: Int64
    }

    private let clock: LoopClock
    private let reading = Mutex<Reading?>(nil)

    init(_ clock: LoopClock) {
        self.clock = clock
    }

    /// The broker has told its time, in Unix microseconds, some time after it was asked. So it is between that time and that
    /// time plus the wait; what was thought is kept if it can be true: the shortest wait tells best.
    ///
    /// - Returns: the correction.
    @discardableResult
    func observe(_ time: Int64, askedAt start: Int64) -> Duration {
        let now = clock.now()
        return reading.withLock { reading in
            guard let old = reading else {
                reading = Reading(time: time, at: now)
                return .zero
            }
            let thought = old.time + (now - old.at) / 1000
            let isPossible = thought >= time && thought <= time + (now - start) / 1000
            let known = isPossible ? thought : time
            reading = Reading(time: known, at: now)
            return .microseconds(known - thought)
        }
    }

    /// Unix microseconds; `nil` while nothing is known.
    var now: Int64? {
        reading.withLock { reading in
            reading.map { $0.time + (clock.now() - $0.at) / 1000 }
        }
    }
}
