import Asynq
import Foundation

enum CronSpecs {
    static func use(_ berlin: TimeZone) throws -> Date? {
        let weekdays = try CronExpression("30 9 * * mon-fri", timeZone: berlin)
        let due = weekdays.next(after: Date())  // nil: never
        return due
    }
}
