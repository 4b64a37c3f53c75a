import Asynq
import AsynqRedis
import Foundation

enum PeriodicTasks {
    static func schedule() async throws {
        let scheduler = AsynqScheduler(try RedisBroker("redis://127.0.0.1:6379"))
        let berlin = TimeZone(identifier: "Europe/Berlin")
        try scheduler.register("30 9 * * mon-fri", DailyReport(), .queue("low"), timeZone: berlin)
        try scheduler.register("@every 10m", AsynqTask("cache:refresh"), .unique(for: .minutes(10)))
        try scheduler.register("0 3 * * *", AsynqTask("invoices:send"), missed: .one)
        try await scheduler.run()  // until SIGTERM, cancellation or shutdown()
    }

    static func manage(_ broker: any Broker, _ reports: Reports) async throws {
        let manager = PeriodicTaskManager(broker) {
            try await reports.all().map { report in
                PeriodicTaskConfig(report.spec, try BuildReport(id: report.id).asTask(), id: "report-\(report.id)")
            }
        }
        try await manager.run()
    }
}
