import Asynq

enum WhatHappensWhen {
    static func register(_ router: inout TaskRouter, _ rows: [Int]) throws {
        try router.handle("import") { task, context in
            for row in rows {
                try Task.checkCancellation()  // a loop without await hears of it only by asking
                store(row)
            }
        }
    }

    static func store(_ row: Int) {}
}
