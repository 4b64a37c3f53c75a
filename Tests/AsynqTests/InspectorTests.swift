import Testing

@testable import Asynq

struct BulkRoundsTests {
    /// Steps of at most ten tasks on a list of `count`, to which `arriving` come in each step. Returns how many were moved.
    private func run(_ count: Int, arriving: Int, limit: Int = .max) -> (moved: Int, steps: Int) {
        var (rounds, list, moved, steps) = (BulkRounds(limit: limit), count, 0, 0)
        rounds.begin(with: list)
        while rounds.left > 0, steps < 100_000 {
            steps += 1
            let step = min(10, rounds.left, list)
            list += arriving - step
            moved += step
            if !rounds.isToGoOn(after: step, remaining: list) { break }
        }
        return (moved, steps)
    }

    @Test func `a list that nobody fills is done in one round`() {
        #expect(run(95, arriving: 0) == (95, 10))
        #expect(run(0, arriving: 5) == (0, 0))
    }

    @Test func `one round takes as many as there were`() {
        #expect(run(100, arriving: 3, limit: 1).moved == 100)
    }

    @Test func `rounds follow until nothing is left`() {
        #expect(run(100, arriving: 5).moved == 205)
    }

    @Test(arguments: [10, 11, 1000])
    func `tasks that come as fast as they go do not keep it up for ever`(arriving: Int) {
        #expect(run(1000, arriving: arriving).moved == 1000)
    }

    @Test func `steps that move nothing come to an end`() {
        var rounds = BulkRounds()
        rounds.begin(with: 3)
        var answers: [Bool] = []
        for _ in 0..<3 { answers.append(rounds.isToGoOn(after: 0, remaining: 3)) }
        #expect(answers == [true, true, false])
        // Others have moved the rest.
        rounds.begin(with: 3)
        let isToGoOn = rounds.isToGoOn(after: 1, remaining: 0)
        #expect(!isToGoOn)
    }
}

struct InspectorValueTests {
    @Test func `what a broker tells of itself is found by its key, and printed as Redis does`() {
        let info = BrokerInfo(
            kind: "k",
            address: "a",
            version: "1",
            sections: [.init("One", [.init("a", "1"), .init("b", "x:y")]), .init("Two", [.init("c", "")])]
        )
        #expect(info["b"] == "x:y" && info["c"] == "" && info["d"] == nil)
        #expect(info.text == "# One\na:1\nb:x:y\n\n# Two\nc:\n")
    }

    @Test func `pages are counted`() {
        func pages(_ total: Int) -> Int {
            TaskPage(page: 1, pageSize: 30, TaskListing(tasks: [], total: total)).pageCount
        }
        #expect([0, 1, 30, 31, 60].map(pages) == [0, 1, 1, 2, 2])
    }

    @Test func `a queue that is not there is said before anything is done`() async {
        let inspector = AsynqInspector(NoBroker())
        await #expect { try await inspector.runAll(.archived, queue: "none") } throws: { error in
            (error as? AsynqError)?.code == .queueNotFound && "\(error)".contains("none")
        }
    }
}
