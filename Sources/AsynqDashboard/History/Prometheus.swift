import AsyncHTTPClient
import HTTPTypes
import NIOCore
import NIOHTTP1

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Asks Prometheus for the charts of the page of metrics.
struct Prometheus: Sendable {
    private static let patience = TimeAmount.seconds(10)
    private static let mostBytes = 8 << 20

    private let address: String
    private let client: HTTPClient
    /// For messages: the address may have a password in it.
    private var place: String { address.contains("@") ? "Prometheus" : "Prometheus at \(address)" }

    init(_ address: String, client: HTTPClient = .shared) {
        self.address = address.hasSuffix("/") ? String(address.dropLast()) : address
        self.client = client
    }

    /// All charts at once.
    ///
    /// - Throws: ``APIError`` (502) with what Prometheus said, or that it did not.
    func charts(_ query: MetricsQuery) async throws -> JSONValue {
        let queries = Self.queries(query.queues)
        return try await withThrowingTaskGroup(of: (Int, JSONValue).self) { group in
            for (index, (_, text)) in queries.enumerated() {
                group.addTask { (index, try await range(text, query)) }
            }
            var answers = [JSONValue](repeating: .null, count: queries.count)
            for try await (index, answer) in group { answers[index] = answer }
            return .object(zip(queries, answers).map { JSONValue.Member(key: $0.name, value: $1) })
        }
    }

    static func queries(_ queues: [String]?) -> [(name: String, text: String)] {
        let filter = queues.map { "queue=~\"\(Self.quoted($0.map(Self.escaped).joined(separator: "|")))\"" } ?? ""
        func rate(_ name: String) -> String { "rate(\(name){\(filter)}[5m])" }
        func inState(_ state: String) -> String {
            "asynq_tasks_enqueued_total{\(filter)\(filter.isEmpty ? "" : ",")state=\"\(state)\"}"
        }
        return [
            ("queue_size", "asynq_queue_size{\(filter)}"),
            ("queue_latency_seconds", "asynq_queue_latency_seconds{\(filter)}"),
            ("queue_memory_usage_approx_bytes", "asynq_queue_memory_usage_approx_bytes{\(filter)}"),
            ("tasks_processed_per_second", rate("asynq_tasks_processed_total")),
            ("tasks_failed_per_second", rate("asynq_tasks_failed_total")),
            ("error_rate", "\(rate("asynq_tasks_failed_total")) / \(rate("asynq_tasks_processed_total"))"),
            ("pending_tasks_by_queue", inState("pending")),
            ("retry_tasks_by_queue", inState("retry")),
            ("archived_tasks_by_queue", inState("archived")),
        ]
    }

    /// So that a name stands for itself in a regular expression.
    private static func escaped(_ name: String) -> String {
        name.reduce(into: "") { text, character in
            if "\\.+*?()|[]{}^$".contains(character) { text.append("\\") }
            text.append(character)
        }
    }

    /// In the quotes of a query.
    private static func quoted(_ text: String) -> String {
        text.reduce(into: "") { text, character in
            switch character {
            case "\\", "\"": text += "\\\(character)"
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
    }

    private func range(_ text: String, _ query: MetricsQuery) async throws -> JSONValue {
        var request = HTTPClientRequest(url: "\(address)/api/v1/query_range")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(
            ByteBuffer(
                string: "query=\(Self.encoded(text))&start=\(query.start)&end=\(query.end)&step=\(query.step)"
            )
        )
        let status: UInt
        let body: ByteBuffer
        do {
            let response = try await client.execute(request, timeout: Self.patience)
            status = response.status.code
            body = try await response.body.collect(upTo: Self.mostBytes)
        } catch is NIOTooManyBytesError {
            throw APIError(.badGateway, "Prometheus's answer is larger than 8 MiB: ask for fewer queues")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw APIError(.badGateway, "\(place) does not answer: check that it runs, and the address")
        }
        let answer = try? JSONDecoder().decode(Answer.self, from: Data(body.readableBytesView))
        if let answer, answer.status == "success" { return .verbatim(Array(body.readableBytesView)) }
        let reason = answer?.error ?? "it answered with status \(status), and not as Prometheus does"
        throw APIError(.badGateway, "\(place) refuses the query: \(reason.prefix(300))")
    }

    private struct Answer: Decodable {
        var status: String
        var error: String?
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))"
            }
        }
    }
}
