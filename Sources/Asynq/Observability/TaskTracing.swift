import Tracing

/// Spans of clients and servers (the page Tracing), and the way of a trace through the headers of tasks. Exists only where
/// there is a tracer.
struct TaskTracing: Sendable {
    private let tracer: any Tracer
    private let instrument: any Instrument

    /// - Parameter tracer: default: that of the instrumentation system. `nil` if there is none.
    init?(_ tracer: (any Tracer)?) {
        if let tracer {
            if tracer is NoOpTracer { return nil }
            self.tracer = tracer
            instrument = tracer
        } else {
            // Also one that makes no spans, and only carries the context on.
            instrument = InstrumentationSystem.instrument
            if instrument is NoOpInstrument { return nil }
            self.tracer = InstrumentationSystem.tracer
        }
    }

    // MARK: Client

    /// Begins the span of an enqueue, and gives its context to the tasks as headers.
    func beginEnqueue(_ requests: inout [EnqueueRequest]) -> any Span {
        let queues = Set(requests.map(\.message.queue))
        let queue = queues.count == 1 ? queues.first : nil
        let span = tracer.startSpan(queue.map { "enqueue \($0)" } ?? "enqueue", ofKind: .producer)
        span.updateAttributes { attributes in
            attributes["messaging.system"] = "asynq"
            attributes["messaging.operation.name"] = "enqueue"
            attributes["messaging.operation.type"] = "send"
            if let queue { attributes["messaging.destination.name"] = queue }
            if requests.count == 1 {
                attributes["messaging.message.id"] = requests[0].message.id
                attributes["messaging.message.body.size"] = requests[0].message.payload?.count ?? 0
                attributes["asynq.task.type"] = requests[0].message.type
            } else {
                attributes["messaging.batch.message_count"] = requests.count
            }
        }
        for index in requests.indices {
            instrument.inject(span.context, into: &requests[index].message.headers, using: HeaderInjector())
        }
        return span
    }

    func endEnqueue(_ span: any Span, _ results: [Result<EnqueueReceipt, AsynqError>]) {
        for case .failure(let error) in results {
            fail(span, error)
            break
        }
        span.end()
    }

    // MARK: Server

    /// Begins the span of an attempt, as a child of the span in which the task was enqueued.
    func beginAttempt(_ message: TaskMessage) -> any Span {
        var context = InstrumentationContext.current ?? .topLevel
        instrument.extract(message.headers, into: &context, using: HeaderExtractor())
        let span = tracer.startSpan("process \(message.queue)", context: context, ofKind: .consumer)
        span.updateAttributes { attributes in
            attributes["messaging.system"] = "asynq"
            attributes["messaging.operation.name"] = "process"
            attributes["messaging.operation.type"] = "process"
            attributes["messaging.destination.name"] = message.queue
            attributes["messaging.message.id"] = message.id
            attributes["messaging.message.body.size"] = message.payload?.count ?? 0
            attributes["asynq.task.type"] = message.type
            attributes["asynq.task.retried"] = Int(message.retried)
            attributes["asynq.task.max_retry"] = Int(message.maxRetry)
        }
        return span
    }

    /// - Parameter error: why the attempt failed. A task that is revoked or has to wait has not failed.
    func endAttempt(_ span: any Span, _ error: (any Error)?) {
        if let error {
            let code = (error as? AsynqError)?.code
            if code != .revokeTask, code != .rateLimited { fail(span, error) }
        }
        span.end()
    }

    /// The error without the one behind it, which may quote a payload.
    private func fail(_ span: any Span, _ error: any Error) {
        var error = error
        if var known = error as? AsynqError {
            span.attributes["error.type"] = known.code.description
            known.cause = nil
            error = known
        } else {
            span.attributes["error.type"] = String(reflecting: Swift.type(of: error))
        }
        span.recordError(error)
        span.setStatus(SpanStatus(code: .error))
    }
}

/// Writes headers. What a trace has to say replaces what was there: it may be the header of another task, passed on.
private struct HeaderInjector: Injector {
    func inject(_ value: String, forKey key: String, into headers: inout [String: String]) { headers[key] = value }
}

/// Reads headers. Their names are as the producer's instrument wrote them; in a Go program they may have another case.
private struct HeaderExtractor: Extractor {
    func extract(key: String, from headers: [String: String]) -> String? {
        headers[key] ?? headers.first { $0.key.lowercased() == key.lowercased() }?.value
    }
}
