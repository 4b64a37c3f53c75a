import Asynq
import HTTPTypes
import NIOCore
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What all viewers see.
struct LiveFigures: Sendable, Hashable {
    var queues: [QueueSnapshot]
    var servers: [ServerInfo]

    /// Without what differs at each look.
    var comparable: LiveFigures {
        var copy = self
        for index in copy.queues.indices { copy.queues[index].time = .distantPast }
        return copy
    }
}

/// One poll of the broker for all who look, and none while nobody does. The first viewer starts it, the last one ends it.
final class LiveFeed: Sendable {
    static let mostViewers = 1000

    private struct State {
        var viewers: [Int: AsyncStream<ByteBuffer>.Continuation] = [:]
        var nextViewer = 0
        /// Of the poll; one that finds another number here is not wanted any more.
        var poll = 0
        /// What a viewer gets who comes while a poll runs.
        var last: ByteBuffer?
    }

    private let interval: Duration
    /// So long after the last event a line is sent that says nothing, so that proxies do not take the stream for dead.
    private let keepAlive: Duration
    private let work: BackgroundWork
    private let read: @Sendable () async throws -> LiveFigures
    private let render: @Sendable (LiveFigures) -> JSONValue
    private let state = Mutex(State())

    init(
        interval: Duration,
        keepAlive: Duration = .seconds(15),
        work: BackgroundWork,
        read: @escaping @Sendable () async throws -> LiveFigures,
        render: @escaping @Sendable (LiveFigures) -> JSONValue
    ) {
        self.interval = interval
        self.keepAlive = keepAlive
        self.work = work
        self.read = read
        self.render = render
    }

    var viewers: Int { state.withLock { $0.viewers.count } }

    /// Someone who looks, until the end is called or the stream is no longer read. One who reads slowly gets the newest event.
    func view() throws(APIError) -> (events: AsyncStream<ByteBuffer>, end: @Sendable () -> Void) {
        let (events, input) = AsyncStream<ByteBuffer>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (id, poll): (Int?, Int?) = state.withLock { state in
            guard state.viewers.count < Self.mostViewers else { return (nil, nil) }
            let id = state.nextViewer
            state.nextViewer += 1
            state.viewers[id] = input
            if let last = state.last { input.yield(last) }
            guard state.viewers.count == 1 else { return (id, nil) }
            state.poll += 1
            return (id, state.poll)
        }
        guard let id else { throw .unavailable("there are \(Self.mostViewers) viewers already: close other windows") }
        if let poll, !work.start({ await self.run(poll) }) {
            leave(id)
            throw .unavailable("the dashboard's service does not run: it must be one of the application's services")
        }
        input.onTermination = { _ in self.leave(id) }
        return (events, { input.finish() })
    }

    private func leave(_ id: Int) {
        state.withLock { state in
            guard state.viewers.removeValue(forKey: id) != nil, state.viewers.isEmpty else { return }
            state.poll += 1
            state.last = nil
        }
    }

    private func run(_ poll: Int) async {
        var known: LiveFigures?
        var error: String?
        let clock = ContinuousClock()
        var lastEvent = clock.now
        var nextLook = clock.now
        while state.withLock({ $0.poll == poll }) {
            if clock.now >= nextLook {
                do {
                    let figures = try await read()
                    let comparable = figures.comparable
                    if comparable != known || error != nil {
                        let json = render(figures).adding(["at": .time(Date())])
                        send(event("snapshot", json), poll, isSnapshot: true)
                        lastEvent = clock.now
                    }
                    (known, error) = (comparable, nil)
                } catch is CancellationError {
                    break
                } catch let failure {
                    let message = APIError(failure).message
                    if message != error {
                        send(event("error", .object(["message": .string(message)])), poll, isSnapshot: false)
                        lastEvent = clock.now
                    }
                    error = message
                }
                nextLook = clock.now + interval
            }
            if clock.now - lastEvent >= keepAlive {
                send(ByteBuffer(string: ": still here\n\n"), poll, isSnapshot: false)
                lastEvent = clock.now
            }
            let next = min(nextLook, lastEvent + keepAlive)
            guard (try? await clock.sleep(until: next)) != nil else { break }
        }
        // At a shutdown there are still some.
        let viewers = state.withLock { $0.poll == poll ? Array($0.viewers.values) : [] }
        for viewer in viewers { viewer.finish() }
    }

    private func event(_ name: String, _ data: JSONValue) -> ByteBuffer {
        ByteBuffer(bytes: Array("event: \(name)\ndata: ".utf8) + data.bytes + Array("\n\n".utf8))
    }

    private func send(_ event: ByteBuffer, _ poll: Int, isSnapshot: Bool) {
        state.withLock { state in
            guard state.poll == poll else { return }
            if isSnapshot { state.last = event }
            for viewer in state.viewers.values { viewer.yield(event) }
        }
    }
}
