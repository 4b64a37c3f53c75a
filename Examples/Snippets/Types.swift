import Asynq

// What the code of the other files is about. The pages of the documentation show that code, and it is compiled here.

struct WelcomeEmail: TaskPayload {
    static let taskType = "email:welcome"
    var userID: Int
}

struct ChargeCard: TaskPayload {
    static let taskType = "card:charge"
    var orderID: Int
}

struct DailyReport: TaskPayload {
    static let taskType = "report:daily"
}

struct BuildReport: TaskPayload {
    static let taskType = "report:build"
    var id: Int
}

struct Digest: TaskPayload {
    static let taskType = "digest"
    var user: String
    var lines: [String]
}

struct Provider: Sendable {
    func charge(_ charge: ChargeCard) async throws {}
}

struct Report: Sendable {
    var id: Int
    var spec: String
}

struct Reports: Sendable {
    func all() async throws -> [Report] { [] }
}

struct CardDeclined: Error {}
