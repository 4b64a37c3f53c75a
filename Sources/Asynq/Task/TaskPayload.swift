/// A Codable type that is enqueued and handled as a task.
///
/// ```swift
/// struct WelcomeEmail: TaskPayload {
///     static let taskType = "email:welcome"
///     var userID: Int
/// }
///
/// try await client.enqueue(WelcomeEmail(userID: 42))
/// try router.handle(WelcomeEmail.self) { email, context in … }
/// ```
///
/// A payload that does not decode is archived at once, not retried: it would fail the same way again.
public protocol TaskPayload: Codable, Sendable {
    /// The task type that this payload travels under. Must not be blank.
    static var taskType: String { get }
    /// Options of every task of this type; those given at enqueue override them. Default: none.
    static var options: [TaskOption] { get }
    /// Turns the payload into bytes and back. Default: ``JSONPayloadCoder``, which Go handlers can read.
    static var coder: any PayloadCoder { get }
}

extension TaskPayload {
    public static var options: [TaskOption] { [] }
    public static var coder: any PayloadCoder { JSONPayloadCoder() }

    /// The task that carries this payload.
    ///
    /// - Throws: what the coder throws for a value that it cannot encode.
    public func asTask(_ options: TaskOption...) throws -> AsynqTask {
        AsynqTask(Self.taskType, payload: try Self.coder.encode(self), options: Self.options + options)
    }
}

extension TaskPayload {
    /// The payload that a task carries.
    ///
    /// - Throws: ``AsynqError`` with code `payloadDecoding`, whose text names the field at fault but no value.
    public init(decoding task: AsynqTask) throws(AsynqError) {
        do {
            self = try Self.coder.decode(Self.self, from: task.payload ?? [])
        } catch {
            let what = (error as? DecodingError)?.place ?? "the coder failed with \(Swift.type(of: error))"
            throw AsynqError(.payloadDecoding, "the payload of \(Self.taskType) does not decode: \(what)", cause: error)
        }
    }
}

extension DecodingError {
    /// What is wrong and where, without the values, which are private.
    fileprivate var place: String {
        func path(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.isEmpty ? "the top level" : keys.map(\.stringValue).joined(separator: ".")
        }
        switch self {
        case .typeMismatch(let type, let context): return "\(path(context)) is not a \(type)"
        case .valueNotFound(let type, let context): return "\(path(context)) is null, a \(type) is needed"
        case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "it is not in the expected format" : "\(path(context)) is not valid"
        @unknown default: return "it is not in the expected format"
        }
    }
}
