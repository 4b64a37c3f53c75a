import Asynq
import HTTPTypes
import Hummingbird

/// An answer that is a status and a sentence.
struct APIError: Error {
    var status: HTTPResponse.Status
    var message: String
    /// Seconds, for `Retry-After`.
    var retryAfter: Int?

    init(_ status: HTTPResponse.Status, _ message: String, retryAfter: Int? = nil) {
        self.status = status
        self.message = message
        self.retryAfter = retryAfter
    }

    static let notFound = APIError(.notFound, "there is no such path")
    static let methodNotAllowed = APIError(.methodNotAllowed, "this path does not take this method")
    static let readOnly = APIError(.methodNotAllowed, "this dashboard is read-only")
    static let readOnlyUser = APIError(.methodNotAllowed, "you may only look: your account is read-only")

    static func badRequest(_ message: String) -> APIError { APIError(.badRequest, message) }
    static func forbidden(_ message: String) -> APIError { APIError(.forbidden, message) }
    static func unavailable(_ message: String) -> APIError { APIError(.serviceUnavailable, message) }

    /// What any error becomes.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as AsynqError: self.init(Self.status(error.code), error.message)
        case is CancellationError: self.init(.serviceUnavailable, "the dashboard is shutting down")
        // What it says may hold anything.
        default: self.init(.internalServerError, "something went wrong in the dashboard: its log says what")
        }
    }

    private static func status(_ code: AsynqError.Code) -> HTTPResponse.Status {
        switch code {
        case .queueNotFound, .taskNotFound, .entryNotFound: .notFound
        case .invalidArgument, .queueNotEmpty: .badRequest
        case .taskIDConflict, .duplicateTask, .invalidTaskState: .conflict
        case .brokerUnavailable: .serviceUnavailable
        default: .internalServerError
        }
    }
}
