/// A unit of work: a type that names it and a payload that describes it.
///
/// ```swift
/// let task = AsynqTask("image:resize", payload: Array(#"{"id": 7}"#.utf8), .queue("low"), .maxRetry(5))
/// try await client.enqueue(task)
/// ```
///
/// For Codable payloads see ``TaskPayload``.
public struct AsynqTask: Sendable, Hashable {
    /// What kind of work this is, such as `email:welcome`. A router picks the handler by it. Must not be blank.
    public var type: String
    /// What the handler needs to know, in any format. `nil` (no payload at all) and an empty payload are stored
    /// alike, but differ for uniqueness (spec 1, "Keys").
    public var payload: [UInt8]?
    /// Text that travels with the task, such as a trace's parent. Default: none.
    public var headers: [String: String]
    /// How the task is to be queued and run; options given at enqueue override these.
    public var options: [TaskOption]

    public init(_ type: String, payload: [UInt8]? = nil, headers: [String: String] = [:], _ options: TaskOption...) {
        self.init(type, payload: payload, headers: headers, options: options)
    }

    public init(_ type: String, payload: [UInt8]? = nil, headers: [String: String] = [:], options: [TaskOption]) {
        self.type = type
        self.payload = payload
        self.headers = headers
        self.options = options
    }
}
