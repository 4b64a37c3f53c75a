import Asynq
import AsynqTesting
import Foundation
import Hummingbird
import Synchronization
import TestSupport
import Testing

@testable import AsynqDashboard

@Suite struct PrometheusTests {
    /// Answers as Prometheus does, or otherwise.
    private func withPrometheus(
        _ answer: @escaping @Sendable (_ query: String) -> Response,
        _ body: @escaping @Sendable (_ url: String) async throws -> Void
    ) async throws {
        let router = Router()
        router.post("api/v1/query_range") { request, _ in
            answer(String(buffer: try await request.body.collect(upTo: 100_000)))
        }
        let (ports, input) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { input.yield($0.localAddress?.port ?? 0) },
            logger: .silent
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body("http://127.0.0.1:\(port)/")
            group.cancelAll()
            while await group.nextResult() != nil {}
        }
    }

    @Test func `Prometheus is asked for all nine charts`() async throws {
        let queries = Recorder<String>()
        try await withPrometheus { query in
            queries.add(query)
            let text =
                #"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]}}"#
            return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: text)))
        } _: { url in
            try await withDashboard(MemoryBroker()) {
                $0.prometheusAddress = url
            } _: { site in
                #expect(try await site.get("/api/session").json()["metrics"] as? String == "prometheus")
                let answer = try await site.get("/api/metrics?duration=3600&endtime=1800000000&queues=a.b,c%22d")
                let json = try answer.json()
                #expect(json.count == 9 && (json["error_rate"] as? [String: Any])?["status"] as? String == "success")
                #expect(queries.count == 9)
                for query in queries.elements {
                    #expect(query.contains("start=1799996400.0&end=1800000000.0&step=15.0"), "\(query)")
                    #expect(
                        query.contains(
                            #"queue=~"a\\.b|c\"d""#.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "?"
                        )
                    )
                }
            }
        }
    }

    @Test func `what Prometheus refuses, or is not, is said`() async throws {
        try await withPrometheus { _ in
            let text = #"{"status":"error","errorType":"bad_data","error":"parse error"}"#
            return Response(status: .badRequest, body: .init(byteBuffer: ByteBuffer(string: text)))
        } _: { url in
            try await withDashboard(MemoryBroker()) {
                $0.prometheusAddress = url
            } _: { site in
                let answer = try await site.get("/api/metrics")
                #expect(answer.status == 502 && answer.text.contains("parse error"))
            }
        }
        try await withPrometheus { _ in
            Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "<html>")))
        } _: { url in
            try await withDashboard(MemoryBroker()) {
                $0.prometheusAddress = url
            } _: { site in
                let answer = try await site.get("/api/metrics")
                #expect(answer.status == 502 && answer.text.contains("not as Prometheus does"))
            }
        }
        try await withDashboard(MemoryBroker()) {
            $0.prometheusAddress = "http://user:secret@127.0.0.1:1"
        } _: { site in
            let answer = try await site.get("/api/metrics")
            #expect(answer.status == 502 && answer.text.contains("does not answer") && !answer.text.contains("secret"))
        }
    }
}
