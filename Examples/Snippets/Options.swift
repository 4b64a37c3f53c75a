import Asynq

enum Options {
    struct Thumbnail: TaskPayload {
        static let taskType = "image:thumbnail"
        static let options: [TaskOption] = [.queue("images"), .maxRetry(5), .timeout(.minutes(2))]
        var image: String
    }

    static func enqueue(_ client: AsynqClient, _ bytes: [UInt8]) async throws {
        try await client.enqueue(Thumbnail(image: "cat.png"))
        try await client.enqueue(Thumbnail(image: "dog.png"), .queue("urgent"), .processIn(.minutes(5)))
        try await client.enqueue(AsynqTask("image:resize", payload: bytes, .queue("images")))
    }

    static func once(_ client: AsynqClient) async throws {
        do {
            try await client.enqueue(ChargeCard(orderID: 7), .taskID("charge-7"))
        } catch let error as AsynqError where error.code == .taskIDConflict {
            // It was enqueued before: by a caller that did not hear of it, or by this one, at an earlier try.
        }
    }

    static func batch(_ client: AsynqClient, _ userIDs: [Int]) async throws {
        let tasks = try userIDs.map { try WelcomeEmail(userID: $0).asTask(.queue("low")) }
        for (userID, result) in zip(userIDs, await client.enqueue(batch: tasks)) {
            if case .failure(let error) = result { print("user \(userID): \(error)") }
        }
    }
}
