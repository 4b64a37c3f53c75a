import Asynq
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

enum Workers {
    static func server(_ broker: any Broker, _ provider: Provider) throws -> AsynqServer {
        var router = TaskRouter()
        router.use(Timing())
        try router.handle(ChargeCard.self) { charge, context in
            do {
                try await provider.charge(charge)
                try await context.writeResult("charged")
            } catch is CardDeclined {
                throw AsynqError.skipRetry("the card was declined")  // to the archive, at once
            }
        }
        try router.handle("image:") { task, context in  // image:resize, image:crop, …
            context.logger.info("\(task.type), attempt \(context.retried + 1)")
        }

        var configuration = AsynqServer.Configuration(concurrency: 20, queues: ["critical": 6, "default": 3, "low": 1])
        configuration.shutdownTimeout = .seconds(25)
        configuration.retryDelay = { retried, error, task in
            task.type == ChargeCard.taskType
                ? .minutes(1) : AsynqServer.Configuration.defaultRetryDelay(retried: retried)
        }
        configuration.isFailure = { error in !(error is URLError) }
        let server = AsynqServer(broker, handler: router, configuration: configuration)
        return server
    }

    struct Timing: TaskMiddleware {
        func handle(_ task: AsynqTask, context: TaskContext, next: any TaskHandler) async throws {
            let start = ContinuousClock.now
            defer { context.logger.info("took \(ContinuousClock.now - start)") }
            try await next.handle(task, context: context)
        }
    }

    static func group(_ broker: any Broker, _ router: TaskRouter, _ web: any Service) async throws {
        var configuration = AsynqServer.Configuration(concurrency: 20)
        configuration.handlesSignals = false  // the group does
        let worker = AsynqServer(broker, handler: router, configuration: configuration)
        let services = ServiceGroup(
            services: [web, worker],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: configuration.logger
        )
        try await services.run()
    }
}
