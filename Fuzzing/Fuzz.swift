import Asynq
import AsynqRedis
import Foundation
import NIOCore
import RedisClient

/// What reads bytes that somebody else has made, for libFuzzer: a crash, a hang, too much memory or a broken property ends the
/// run, and libFuzzer writes down the input.
///
///     ASYNQ_FUZZ_TARGET=resp AsynqFuzz Corpus/resp -max_total_time=60
enum Target: String, CaseIterable {
    /// Replies of a Redis.
    case resp
    /// Messages in Redis: of tasks, servers, workers, schedulers.
    case message
    /// Connection URIs.
    case uri
    /// Specs of periodic tasks.
    case cron
    /// Durations as Go writes them.
    case duration

    static let current: Target = {
        let name = ProcessInfo.processInfo.environment["ASYNQ_FUZZ_TARGET"] ?? ""
        guard let target = Target(rawValue: name) else {
            print("ASYNQ_FUZZ_TARGET must be one of \(allCases.map(\.rawValue).joined(separator: ", "))")
            exit(64)
        }
        return target
    }()

    func run(_ bytes: [UInt8]) {
        switch self {
        case .resp: parseReplies(bytes)
        case .message: decodeMessages(bytes)
        case .uri: readURI(String(decoding: bytes, as: UTF8.self))
        case .cron: readCron(String(decoding: bytes, as: UTF8.self))
        case .duration: readDuration(String(decoding: bytes, as: UTF8.self))
        }
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Target.current.run(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// As a whole and in pieces bytes must be read alike.
private func parseReplies(_ bytes: [UInt8]) {
    func read(_ pieces: [ArraySlice<UInt8>]) -> (values: [RESPValue], failure: String?) {
        var parser = RESPParser()
        var values: [RESPValue] = []
        for piece in pieces {
            parser.append(ByteBuffer(bytes: piece))
            do {
                while let value = try parser.next() { values.append(value) }
            } catch {
                return (values, "\(error)")
            }
        }
        precondition(parser.bufferedBytes <= bytes.count, "more waits than has come")
        return (values, nil)
    }
    let whole = read([bytes[...]])
    // The first byte says how long the pieces are.
    let length = Int(bytes.first ?? 0) % 7 + 1
    let pieces = stride(from: 0, to: bytes.count, by: length).map { bytes[$0..<min($0 + length, bytes.count)] }
    let split = read(pieces)
    // Not a number is not equal to itself.
    precondition("\(whole.values)" == "\(split.values)", "pieces change what is read")
    precondition(whole.failure == split.failure, "pieces change what is refused")
    func count(_ value: RESPValue) -> Int {
        switch value {
        case .array(let elements), .set(let elements), .push(let elements): elements.reduce(1) { $0 + count($1) }
        case .map(let pairs): pairs.reduce(1) { $0 + count($1.key) + count($1.value) }
        default: 1
        }
    }
    precondition(whole.values.reduce(0) { $0 + count($1) } <= bytes.count, "more values than bytes")
    for value in whole.values { if case .push(let elements) = value { _ = RedisPush(elements) } }
}

/// What has been read must be the same after it has been written.
private func decodeMessages(_ bytes: [UInt8]) {
    let buffer = ByteBuffer(bytes: bytes)
    if let message = try? TaskMessage(decoding: buffer) {
        let again = (try? message.encoded()).flatMap { try? TaskMessage(decoding: ByteBuffer(bytes: $0)) }
        precondition(again == message, "a message is another one when it has been written")
    }
    if let entry = try? SchedulerEntry(decoding: buffer) {
        let again = (try? entry.encoded()).flatMap { try? SchedulerEntry(decoding: ByteBuffer(bytes: $0)) }
        precondition(again == entry, "an entry is another one when it has been written")
    }
    _ = try? SchedulerEnqueueEvent(decoding: buffer, entryID: "e")
    // Half of it is a worker's.
    let middle = bytes.count / 2
    let worker = ByteBuffer(bytes: bytes[middle...])
    if let server = try? ServerInfo(decoding: ByteBuffer(bytes: bytes[..<middle]), workers: [worker]) {
        precondition(server.workers.count <= 1, "more workers than there were")
    }
}

/// A URI that is refused says why, and one that is read describes itself without its password.
private func readURI(_ text: String) {
    do throws(RedisError) {
        let configuration = try RedisConfiguration(text)
        var bare = configuration
        bare.username = nil
        bare.password = nil
        bare.sentinel?.username = nil
        bare.sentinel?.password = nil
        precondition("\(configuration)" == "\(bare)", "a description depends on a secret")
    } catch {
        precondition(error.code == .invalidConfiguration, "a URI is refused as something else")
    }
}

/// The next times of a spec grow, and are found soon.
private func readCron(_ text: String) {
    guard let cron = try? CronExpression(text) else { return }
    for start in [0.0, 1_774_745_999.5, 4_102_444_800] {
        var last = Date(timeIntervalSince1970: start)
        for _ in 0..<4 {
            guard let next = cron.next(after: last) else { break }
            precondition(next > last, "a time that is not later")
            last = next
        }
    }
}

/// A duration that is read, written and read again is the same.
private func readDuration(_ text: String) {
    guard let duration = try? GoDuration.parse(text) else { return }
    let written = GoDuration.format(duration)
    let again = try? GoDuration.parse(written)
    precondition(again == duration, "a duration is another one when it has been written")
}
