import Asynq
import AsynqTesting

enum Testing {
    static func tester(_ router: TaskRouter) -> AsynqTester {
        let tester = AsynqTester(handler: router) { $0.queues = ["critical": 6, "default": 1] }
        return tester
    }
}
