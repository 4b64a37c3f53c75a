import Asynq
import AsynqRedis
import AsynqTesting
import InMemoryTracing
import Logging
import Synchronization
import TestSupport
import Testing
import Tracing

/// Spans, and the way of a trace through tasks (the page Tracing).
struct TracingTests {
    private let tracer = InMemoryTracer()

    private func client(_ broker: any Broker) -> AsynqClient {
        var configuration = AsynqClient.Configuration()
        configuration.tracer = tracer
        return AsynqClient(broker, configuration: configuration)
    }

    private func tester(
        clock: ManualClock = ManualClock(),
        _ configure: (inout AsynqServer.Configuration) -> Void = { _ in },
        handler: @escaping @Sendable (AsynqTask, TaskContext) async throws -> Void
    ) -> AsynqTester {
        makeTester(handler: ClosureHandler(handler), clock: clock) {
            $0.tracer = tracer
            $0.retryDelay = { _, _, _ in .seconds(1) }
            configure(&$0)
        }
    }

    private func spans(_ kind: SpanKind) -> [FinishedInMemorySpan] {
        tracer.finishedSpans.filter { $0.kind == kind }
    }

    @Test func `a handler runs in the trace of the enqueue, and what it enqueues goes on in it`() async throws {
        let seen = Recorder<String?>()
        let holder = Mutex<AsynqClient?>(nil)
        let tester = tester { task, _ in
            seen.add(ServiceContext.current?.inMemorySpanContext?.spanID)
            guard task.type == "first", let client = holder.withLock({ $0 }) else { return }
            try await client.enqueue(AsynqTask("second"))
        }
        let client = client(tester.broker)
        holder.withLock { $0 = client }
        try await tracer.withSpan("request") { _ in
            _ = try await client.enqueue(AsynqTask("first", payload: [1, 2, 3], .taskID("a"), .maxRetry(3)))
        }
        try await tester.runUntilIdle()

        let (produced, consumed) = (spans(.producer), spans(.consumer))
        let request = try #require(tracer.finishedSpans.first { $0.operationName == "request" })
        #expect(produced.map(\.operationName) == ["enqueue default", "enqueue default"])
        #expect(consumed.map(\.operationName) == ["process default", "process default"])
        #expect(Set(tracer.finishedSpans.map(\.traceID)) == [request.traceID])
        #expect(produced[0].parentSpanID == request.spanID)
        #expect(consumed[0].parentSpanID == produced[0].spanID)
        #expect(produced[1].parentSpanID == consumed[0].spanID)
        #expect(consumed[1].parentSpanID == produced[1].spanID)
        #expect(seen.elements == consumed.map(\.spanID))
        #expect(tracer.activeSpans.isEmpty)
        #expect((produced + consumed).allSatisfy { $0.status == nil && $0.errors.isEmpty })
    }

    @Test func `attributes are those of OpenTelemetry's messaging conventions`() async throws {
        let tester = tester { _, _ in }
        try await client(tester.broker).enqueue(AsynqTask("t", payload: [1, 2, 3], .taskID("a"), .maxRetry(3)))
        try await tester.runUntilIdle()
        func text(_ span: FinishedInMemorySpan?) -> [String] {
            var all: [String] = []
            span?.attributes.forEach { all.append("\($0)=\($1)") }
            return all.sorted()
        }
        let common = [
            "asynq.task.type=string(\"t\")", "messaging.destination.name=string(\"default\")",
            "messaging.message.body.size=int64(3)", "messaging.message.id=string(\"a\")",
            "messaging.system=string(\"asynq\")",
        ]
        let send = ["messaging.operation.name=string(\"enqueue\")", "messaging.operation.type=string(\"send\")"]
        let process = [
            "asynq.task.max_retry=int64(3)", "asynq.task.retried=int64(0)",
            "messaging.operation.name=string(\"process\")", "messaging.operation.type=string(\"process\")",
        ]
        #expect(text(spans(.producer).first) == (common + send).sorted())
        #expect(text(spans(.consumer).first) == (common + process).sorted())
    }

    @Test func `each attempt has a span of its own, with its error and without the cause behind it`() async throws {
        let tester = tester { _, context in
            switch context.retried {
            case 0: throw Boom()
            case 1: throw AsynqError(.handlerNotFound, "nobody", cause: Boom())
            default: return
            }
        }
        try await client(tester.broker).enqueue(AsynqTask("t"))
        try await tester.advance(by: .seconds(10))
        let attempts = spans(.consumer)
        #expect(Set(attempts.map(\.parentSpanID)) == [spans(.producer).first?.spanID])
        #expect(attempts.map(\.status?.code) == [.error, .error, nil])
        #expect(attempts.map { $0.attributes.get("asynq.task.retried") } == [.int64(0), .int64(1), .int64(2)])
        #expect(attempts.map(\.errors.count) == [1, 1, 0])
        #expect(attempts[0].errors.first?.error is Boom)
        let second = attempts[1].errors.first?.error as? AsynqError
        #expect(second?.code == .handlerNotFound && second?.cause == nil)
        #expect(attempts[1].attributes.get("error.type") == .string("handlerNotFound"))
    }

    @Test func `a task that is revoked or has to wait has not failed`() async throws {
        let tester = tester { task, _ in
            if task.type == "revoked" { throw AsynqError.revokeTask("not needed") }
            throw AsynqError.rateLimited("busy", retryAfter: .hours(1))
        }
        try await client(tester.broker).enqueue(AsynqTask("revoked"))
        try await client(tester.broker).enqueue(AsynqTask("limited"))
        try await tester.runUntilIdle()
        #expect(spans(.consumer).count == 2)
        #expect(spans(.consumer).allSatisfy { $0.status == nil && $0.errors.isEmpty })
    }

    @Test func `an attempt that is cancelled says why, not only that`() async throws {
        let clock = ManualClock()
        let tester = tester(clock: clock) { _, _ in
            clock.advance(by: .seconds(21))
            try await clock.sleep(for: .hours(1))
        }
        try await client(tester.broker).enqueue(AsynqTask("t", .timeout(.seconds(20)), .maxRetry(0)))
        try await tester.runUntilIdle()
        let error = spans(.consumer).first?.errors.first?.error as? AsynqError
        #expect(error?.code == .taskTimeout)
    }

    @Test func `a batch is one span, which all its tasks carry on`() async throws {
        let tester = tester { _, _ in }
        let results = await client(tester.broker).enqueue(
            batch: [AsynqTask("a"), AsynqTask("b", .queue("low")), AsynqTask("c")]
        )
        let span = try #require(spans(.producer).first)
        #expect(spans(.producer).count == 1 && span.operationName == "enqueue")
        #expect(span.attributes.get("messaging.batch.message_count") == .int64(3))
        let ids = try results.map { try $0.get().headers[InMemoryTracer.spanIDKey] }
        #expect(ids == [span.spanID, span.spanID, span.spanID])
    }

    @Test func `an enqueue that is refused is an error of its span`() async throws {
        let broker = MemoryBroker()
        let client = client(broker)
        try await client.enqueue(AsynqTask("t", .taskID("a")))
        await #expect(throws: AsynqError.self) { try await client.enqueue(AsynqTask("t", .taskID("a"))) }
        #expect(spans(.producer).map(\.status?.code) == [nil, .error])
        #expect(spans(.producer).last?.attributes.get("error.type") == .string("taskIDConflict"))
    }

    @Test func `headers of another task that were passed on give way to those of this trace`() async throws {
        let broker = MemoryBroker()
        let stale = [InMemoryTracer.traceIDKey: "old", InMemoryTracer.spanIDKey: "old", "mine": "kept"]
        let info = try await client(broker).enqueue(AsynqTask("t", headers: stale))
        #expect(info.headers["mine"] == "kept")
        #expect(info.headers[InMemoryTracer.spanIDKey] == spans(.producer).first?.spanID)
    }

    @Test func `without a tracer no header is added, and the surrounding context is left as it is`() async throws {
        let seen = Recorder<Bool>()
        let tester = makeTester(handler: ClosureHandler { _, _ in seen.add(ServiceContext.current == nil) })
        let info = try await tester.client.enqueue(AsynqTask("t"))
        #expect(info.headers.isEmpty)
        try await tester.runUntilIdle()
        #expect(seen.elements == [true])
    }

    @Test func `the tracer of the surrounding scope is used, where none is given`() async throws {
        let tracer = tracer
        try await withTracer(tracer) {
            let tester = makeTester(handler: ClosureHandler { _, _ in })
            _ = try await tester.client.enqueue(AsynqTask("t"))
            try await tester.runUntilIdle()
        }
        #expect(spans(.consumer).map(\.parentSpanID) == spans(.producer).map(\.spanID))
        #expect(spans(.consumer).count == 1)
    }

    /// Writes and reads the header of the W3C, as tracers for production do.
    private struct W3C: Instrument {
        func inject<Carrier, Inject: Injector>(
            _ context: ServiceContext,
            into carrier: inout Carrier,
            using injector: Inject
        ) where Inject.Carrier == Carrier {
            injector.inject(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                forKey: "traceparent",
                into: &carrier
            )
        }

        func extract<Carrier, Extract: Extractor>(
            _ carrier: Carrier,
            into context: inout ServiceContext,
            using extractor: Extract
        ) where Extract.Carrier == Carrier {
            context.parent = extractor.extract(key: "traceparent", from: carrier)
        }
    }

    /// A tracer in memory that speaks W3C on the wire.
    private struct W3CTracer: Tracer {
        let memory = InMemoryTracer()
        let wire = W3C()

        func startSpan<Instant: TracerInstant>(
            _ operationName: String,
            context: @autoclosure () -> ServiceContext,
            ofKind kind: SpanKind,
            at instant: @autoclosure () -> Instant,
            function: String,
            file fileID: String,
            line: UInt
        ) -> InMemorySpan {
            memory.startSpan(
                operationName,
                context: context(),
                ofKind: kind,
                at: instant(),
                function: function,
                file: fileID,
                line: line
            )
        }

        func forceFlush() {}

        func inject<Carrier, Inject: Injector>(
            _ context: ServiceContext,
            into carrier: inout Carrier,
            using injector: Inject
        ) where Inject.Carrier == Carrier { wire.inject(context, into: &carrier, using: injector) }

        func extract<Carrier, Extract: Extractor>(
            _ carrier: Carrier,
            into context: inout ServiceContext,
            using extractor: Extract
        ) where Extract.Carrier == Carrier { wire.extract(carrier, into: &context, using: extractor) }
    }

    @Test func `the header lies in the stored message where a Go worker reads it`() async throws {
        try await RedisServer.withServer { redis in
            let broker = try RedisBroker(redis.uri, logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
            var configuration = AsynqClient.Configuration()
            configuration.tracer = W3CTracer()
            try await AsynqClient(broker, configuration: configuration).enqueue(AsynqTask("t", .taskID("a")))
            let message = try redis.cli("HGET", "asynq:{default}:t:a", "msg")
            let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            // Field 15 of the message, a map entry: field 1 is the name, field 2 the value; each with its length.
            let entry = "\u{0A}\u{0B}traceparent\u{12}\u{37}\(value)"
            #expect(entry.utf8.count == 0x46)
            #expect(message.contains("\u{7A}\u{46}" + entry))
            await broker.shutdown()
        }
    }

    @Test func `a header from a Go producer is found, whatever the case of its name`() async throws {
        for name in ["traceparent", "Traceparent", "TRACEPARENT"] {
            let seen = Recorder<String?>()
            let tester = makeTester(
                handler: ClosureHandler { _, _ in seen.add(ServiceContext.current?.parent) }
            ) {
                $0.tracer = W3CTracer()
            }
            try await tester.client.enqueue(AsynqTask("t", headers: [name: "00-aa-bb-01", "other": "x"]))
            try await tester.runUntilIdle()
            #expect(seen.elements == ["00-aa-bb-01"])
        }
    }
}

private enum ParentKey: ServiceContextKey {
    typealias Value = String
}

extension ServiceContext {
    fileprivate var parent: String? {
        get { self[ParentKey.self] }
        set { self[ParentKey.self] = newValue }
    }
}
