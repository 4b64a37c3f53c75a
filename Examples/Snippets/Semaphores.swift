import Asynq

enum Semaphores {
    static func use(_ broker: any SemaphoreBroker, _ provider: Provider) throws -> TaskRouter {
        let semaphore = try AsynqSemaphore(broker, scope: "payment-provider", limit: 5)

        var router = TaskRouter()
        try router.handle(ChargeCard.self, middleware: SemaphoreMiddleware(semaphore)) { charge, context in
            try await provider.charge(charge)
        }
        return router
    }

    static func within(
        _ semaphore: AsynqSemaphore,
        _ context: TaskContext,
        _ provider: Provider,
        _ card: ChargeCard
    ) async throws {
        try await semaphore.withPermit(context) { try await provider.charge(card) }
    }
}
