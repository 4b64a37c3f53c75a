/// How many wrong passwords may be tried: few from one address, and not many in all. Only failures count, and each is
/// forgotten after a minute. A value that is told the time.
struct LoginLimiter: Sendable {
    static let window = Duration.seconds(60)
    static let mostOfOne = 10
    static let mostOfAll = 200

    private var ofOne: [String: [Duration]] = [:]
    private var ofAll: [Duration] = []

    /// - Returns: how long to wait before the next try; `nil` if it may be now.
    mutating func delay(for address: String, now: Duration) -> Duration? {
        forget(now)
        let one = ofOne[address] ?? []
        let waits = [
            one.count >= Self.mostOfOne ? one.first : nil,
            ofAll.count >= Self.mostOfAll ? ofAll.first : nil,
        ].compactMap { $0.map { $0 + Self.window - now } }
        return waits.max()
    }

    mutating func failed(_ address: String, now: Duration) {
        forget(now)
        ofOne[address, default: []].append(now)
        ofAll.append(now)
    }

    /// Few are kept: no more than may fail in all.
    private mutating func forget(_ now: Duration) {
        guard let first = ofAll.first, first + Self.window <= now else { return }
        ofAll.removeAll { $0 + Self.window <= now }
        ofOne = ofOne.mapValues { $0.filter { $0 + Self.window > now } }.filter { !$0.value.isEmpty }
    }
}
