import Testing

@testable import Asynq

/// Every task that a server holds, from its dequeue until its outcome is stored.
struct WorkerTableTests {
    private let second = Int64(1_000_000_000)

    private func task(_ id: String, timeout: Int64 = 0, deadline: Int64 = 0) -> LeasedTask {
        var message = TaskMessage(type: "t", payload: nil, id: id, queue: "q")
        message.timeout = timeout
        message.deadline = deadline
        // The broker's clock read 1000 at the dequeue.
        return LeasedTask(message: message, leaseEnd: 1_030_000_000)
    }

    private func tasks(_ count: Int) -> [LeasedTask] { (0..<count).map { task("\($0)") } }

    private func ids(_ finished: [WorkerTable.Finished]) -> [String] { finished.map(\.task.message.id) }

    private func next(_ step: WorkerTable.Next) -> String? {
        if case .run(let ticket) = step { return ticket.task.message.id }
        return nil
    }

    @Test func `no more than the concurrency run, and the rest waits in stock`() {
        var table = WorkerTable(concurrency: 2)
        #expect(table.demand == 2)
        table.stockTarget = 4
        #expect(table.demand == 6)
        let tickets = table.admit(tasks(5), dequeuedAt: 0, now: 0)
        #expect(tickets.map(\.task.message.id) == ["0", "1"])
        #expect(table.running == 2 && table.stockCount == 3)
        #expect(table.demand == 1)
        _ = table.admit([task("5")], dequeuedAt: 0, now: 0)
        // More than three quarters of the stock are there: nothing is asked for yet.
        #expect(table.demand == 0)
    }

    @Test func `what has been asked for is not asked for again`() {
        var table = WorkerTable(concurrency: 4)
        table.request(3)
        #expect(table.demand == 1)
        table.request(1)
        #expect(table.demand == 0)
        table.stockTarget = 8
        #expect(table.demand == 8)
        // Three have come, and all four places are asked for no longer.
        _ = table.admit(tasks(3), dequeuedAt: 0, now: 0)
        table.answered(4)
        #expect(table.demand == 9)
    }

    @Test func `what was in stock when its lease ended is not begun, but handed back if nobody else has it`() {
        var table = WorkerTable(concurrency: 1)
        let tickets = table.admit(tasks(3), dequeuedAt: 0, now: 0)
        // The heartbeat has reached only the last one.
        table.extended([table.held()[2].slot], at: 20 * second)
        let step = table.finished(tickets[0], .done, isDecided: false, now: 29 * second)
        #expect(next(step) == "2" && table.stockCount == 0)
        // Two at once, to an empty list.
        #expect(table.hasOutcomesOfNote(since: 0) && !table.hasOutcomesOfNote(since: 1))
        let taken = table.takeFinished(now: 28 * second).toStore
        #expect(ids(taken) == ["0", "1"] && taken.map(\.delivery) == [.prompt, .late])
        #expect(taken[1].outcome == .requeue)
        // Nor is what was on its way here.
        var late = WorkerTable(concurrency: 1)
        #expect(late.admit(tasks(2), dequeuedAt: 0, now: 29 * second).isEmpty)
        #expect(late.running == 0 && late.unstored == 2)
        let back = late.takeFinished(now: 58 * second).toStore
        #expect(ids(back) == ["1", "0"] && back.allSatisfy { $0.delivery == .late && $0.outcome == .requeue })
        // For as long as no recovery takes them.
        late.putBack(back)
        #expect(ids(late.takeFinished(now: 59 * second).expired) == ["1", "0"])
        #expect(late.held().isEmpty)
    }

    @Test func `a worker goes on with the stock, and its outcomes are stored once`() {
        var table = WorkerTable(concurrency: 1)
        let tickets = table.admit(tasks(2), dequeuedAt: 0, now: 0)
        let step = table.finished(tickets[0], .done, isDecided: false, now: 1)
        #expect(next(step) == "1" && table.running == 1 && table.unstored == 1)
        let (toStore, expired) = table.takeFinished(now: 2)
        #expect(ids(toStore) == ["0"] && expired.isEmpty)
        #expect(table.takeFinished(now: 2).toStore.isEmpty)
        table.putBack(toStore)
        #expect(ids(table.takeFinished(now: 2).toStore) == ["0"])
        table.stored(toStore)
        #expect(table.unstored == 0 && table.held().map(\.task.message.id) == ["1"])
    }

    @Test func `outcomes whose lease has ended are not stored`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit(tasks(1), dequeuedAt: 0, now: 0)[0]
        _ = table.finished(ticket, .done, isDecided: false, now: 1)
        // A lease lasts 30 s, of which one is kept for the clocks.
        let taken = table.takeFinished(now: 29 * second)
        #expect(taken.toStore.isEmpty && ids(taken.expired) == ["0"] && table.unstored == 0)
    }

    @Test func `the earlier of timeout and deadline cancels`() {
        var table = WorkerTable(concurrency: 3)
        let tickets = table.admit(
            [task("a", timeout: 5), task("b", deadline: 1003), task("c", timeout: 2, deadline: 1003)],
            dequeuedAt: 0,
            now: 0
        )
        #expect(tickets.map(\.deadline) == [5 * second, 3 * second, 2 * second])
        #expect(table.nextDeadline == 2 * second)
        _ = table.expire(3 * second, grace: .seconds(1))
        #expect(tickets.map { table.cause(of: $0.slot) } == [nil, .timeout, .timeout])
    }

    @Test func `what a cancelled handler returns is no success`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit([task("a", timeout: 1)], dequeuedAt: 0, now: 0)[0]
        _ = table.expire(second, grace: .seconds(1))
        guard case .decide(.timeout) = table.finished(ticket, .done, isDecided: false, now: second) else {
            Issue.record("taken for a success")
            return
        }
        #expect(table.running == 1)
        _ = table.finished(ticket, .archive(error: "e"), isDecided: true, now: second)
        #expect(table.running == 0 && table.takeFinished(now: second).toStore.map(\.outcome) == [.archive(error: "e")])
    }

    @Test func `a handler that ignores its cancellation is left behind, and is not heard any more`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit([task("a", timeout: 1)], dequeuedAt: 0, now: 0)[0]
        #expect(table.expire(second, grace: .seconds(1)).stubborn.isEmpty)
        let stubborn = table.expire(2 * second, grace: .seconds(1)).stubborn
        #expect(stubborn.map(\.1) == [.timeout])
        table.abandon(ticket.slot, .archive(error: "late"))
        #expect(table.running == 0 && table.demand == 1)
        let other = table.admit([task("b")], dequeuedAt: 2 * second, now: 2 * second)[0]
        guard case .stop = table.finished(ticket, .done, isDecided: false, now: 3 * second) else {
            Issue.record("it was heard")
            return
        }
        #expect(ids(table.takeFinished(now: 3 * second).toStore) == ["a"])
        #expect(table.running == 1)
        _ = table.finished(other, .done, isDecided: false, now: 3 * second)
        #expect(ids(table.takeFinished(now: 3 * second).toStore) == ["b"])
    }

    @Test func `a lost lease stores nothing, and outdoes other causes`() {
        var table = WorkerTable(concurrency: 2)
        let tickets = table.admit(tasks(3), dequeuedAt: 0, now: 0)
        _ = table.cancelAll(now: 1)
        let slots = table.held().map(\.slot)
        #expect(table.leasesLost(slots, isCertain: true, now: 2).new == tickets.map(\.slot))
        // They know it.
        #expect(table.leasesLost(slots, isCertain: true, now: 2).new.isEmpty)
        #expect(tickets.map { table.cause(of: $0.slot) } == [.leaseLost, .leaseLost])
        // The one in stock is gone at once.
        #expect(table.stockCount == 0 && table.held().count == 2)
        for ticket in tickets { _ = table.finished(ticket, nil, isDecided: true, now: 3) }
        #expect(table.takeFinished(now: 3).toStore.isEmpty && table.held().isEmpty)
    }

    @Test func `stock whose lease is over by this side's clock alone is handed back if nobody else has it`() {
        // At a heartbeat that fails, when the stock has not moved for a while, and at the end.
        let ways: [(inout WorkerTable) -> Void] = [
            { _ = $0.leasesLost($0.held().map(\.slot), isCertain: false, now: 29 * second) },
            { $0.handBackStock(now: 29 * second) }, { $0.stopAccepting(now: 29 * second) },
        ]
        for handBack in ways {
            var table = WorkerTable(concurrency: 1)
            _ = table.admit(tasks(3), dequeuedAt: 0, now: 0)
            handBack(&table)
            let taken = table.takeFinished(now: 30 * second)
            #expect(Set(ids(taken.toStore)) == ["1", "2"] && taken.expired.isEmpty)
            #expect(taken.toStore.allSatisfy { $0.delivery == .late && $0.outcome == .requeue })
        }
    }

    @Test func `what is handed back may be so until a recovery could take it, and nothing else`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit(tasks(2), dequeuedAt: 0, now: 0)[0]
        table.handBackStock(now: 1)
        _ = table.finished(ticket, .done, isDecided: false, now: 1)
        let late = table.takeFinished(now: 29 * second)
        #expect(ids(late.toStore) == ["1"] && late.toStore[0].delivery == .late && ids(late.expired) == ["0"])
        table.putBack(late.toStore)
        let again = table.takeFinished(now: 58 * second).toStore
        #expect(ids(again) == ["1"] && again[0].delivery == .repeated)
        table.putBack(again)
        #expect(ids(table.takeFinished(now: 59 * second).expired) == ["1"] && table.unstored == 0)
    }

    @Test func `extended leases last from then on`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit(tasks(1), dequeuedAt: 0, now: 0)[0]
        table.extended([ticket.slot], at: 20 * second)
        #expect(table.held()[0].leaseEnd == 49 * second)
        // The answer to an earlier one may come later.
        table.extended([ticket.slot], at: 10 * second)
        #expect(table.held()[0].leaseEnd == 49 * second)
    }

    @Test func `a cancellation finds its task, and no other`() {
        var table = WorkerTable(concurrency: 2)
        let tickets = table.admit(tasks(2), dequeuedAt: 0, now: 0)
        _ = table.cancel(taskID: "1", now: 1)
        _ = table.cancel(taskID: "nobody", now: 1)
        #expect(tickets.map { table.cause(of: $0.slot) } == [nil, .cancelled])
    }

    @Test func `at the end the stock is handed back in order, and nothing more is taken`() {
        var table = WorkerTable(concurrency: 1)
        let ticket = table.admit(tasks(4), dequeuedAt: 0, now: 0)[0]
        table.stopAccepting(now: 0)
        // Each goes to the end that is served next: the oldest must be the last.
        let back = table.takeFinished(now: 1).toStore
        #expect(ids(back) == ["3", "2", "1"] && back.allSatisfy { $0.outcome == .requeue })
        #expect(table.demand == 0)
        #expect(next(table.finished(ticket, .done, isDecided: false, now: 1)) == nil)
        // A dequeue that was on its way.
        #expect(table.admit([task("late")], dequeuedAt: 1, now: 1).isEmpty)
        #expect(Set(ids(table.takeFinished(now: 2).toStore)) == ["0", "late"])
    }

    @Test func `nothing more is taken while too many outcomes cannot be stored`() {
        var table = WorkerTable(concurrency: 1)
        for number in 0..<1024 {
            let ticket = table.admit([task("\(number)")], dequeuedAt: 0, now: 0)[0]
            _ = table.finished(ticket, .done, isDecided: false, now: 0)
        }
        #expect(table.demand == 0)
        table.stored(table.takeFinished(now: 1).toStore)
        #expect(table.demand == 1)
    }
}
