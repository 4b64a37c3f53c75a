import Asynq

enum MovingFromGo {
    struct WelcomeEmail: TaskPayload {
        static let taskType = "email:welcome"
        var userID: Int

        private enum CodingKeys: String, CodingKey {
            case userID = "user_id"  // as the Go struct's json tag has it
        }
    }
}
