import Testing

@testable import Asynq

struct GroupAgendaTests {
    private let a = GroupReference(queue: "q", name: "a")
    private let b = GroupReference(queue: "q", name: "b")
    private let other = GroupReference(queue: "r", name: "a")

    @Test func `a group is looked at when it is new, when it may have changed and when it is due`() {
        var agenda = GroupAgenda()
        #expect(agenda.next == .max && agenda.take(10, now: 0) == [])
        agenda.list([a, b], in: ["q"])
        #expect(agenda.next == .min)
        #expect(Set(agenda.take(10, now: 0)) == [a, b])
        agenda.checked(a, due: 50)
        agenda.checked(b, due: 30)
        #expect(agenda.next == 30 && agenda.take(10, now: 29) == [])
        #expect(agenda.take(10, now: 30) == [b])
        agenda.checked(b, due: 60)
        agenda.changed(a)
        #expect(agenda.next == .min && agenda.take(10, now: 30) == [a])
        #expect(agenda.next == 50)
    }

    @Test func `those that have waited longest come first, and no more than asked for`() {
        var agenda = GroupAgenda()
        agenda.list([a, b, other], in: ["q", "r"])
        _ = agenda.take(10, now: 0)
        for (group, due) in [(a, Int64(3)), (b, 1), (other, 2)] { agenda.checked(group, due: due) }
        #expect(agenda.take(2, now: 9) == [b, other])
    }

    @Test func `what changes while it is looked at is looked at again`() {
        var agenda = GroupAgenda()
        agenda.changed(a)
        #expect(agenda.take(10, now: 0) == [a] && agenda.isBusy(a))
        agenda.changed(a)
        // The look saw nothing of it.
        var hasChanged = agenda.checked(a, due: nil)
        #expect(hasChanged)
        #expect(!agenda.isBusy(a) && agenda.take(10, now: 0) == [a])
        hasChanged = agenda.checked(a, due: nil)
        #expect(!hasChanged)
        #expect(agenda.next == .max && agenda.take(10, now: .max) == [])
    }

    @Test func `a group that is being aggregated is left alone until that has ended`() {
        var agenda = GroupAgenda()
        agenda.list([a, b], in: ["q"])
        _ = agenda.take(10, now: 0)
        agenda.checked(a, due: 1)
        agenda.checked(b, due: 100)
        agenda.began(a)
        agenda.changed(a)
        #expect(agenda.runningCount == 1 && agenda.next == 100 && agenda.isBusy(a) && !agenda.isBusy(b))
        #expect(agenda.take(10, now: 50) == [])
        // Not even if it has disappeared meanwhile.
        agenda.list([b], in: ["q"])
        agenda.ended(a)
        #expect(agenda.runningCount == 0 && agenda.take(10, now: 50) == [a])
    }

    @Test func `groups that are gone are forgotten, in the queues that were listed`() {
        var agenda = GroupAgenda()
        agenda.list([a, b, other], in: ["q", "r"])
        for group in agenda.take(10, now: 0) { agenda.checked(group, due: 10) }
        agenda.list([b], in: ["q"])
        #expect(Set(agenda.take(10, now: 10)) == [b, other])
        for group in [b, other] { agenda.checked(group, due: 20) }
        agenda.allChanged()
        #expect(Set(agenda.take(10, now: 0)) == [b, other])
    }

    @Test func `a group is ready by its size, its oldest or its newest task`() {
        let policy = GroupPolicy(gracePeriod: .seconds(10), maxDelay: .seconds(60), maxSize: 3)
        func wait(_ count: Int, _ oldest: Int, _ newest: Int) -> Duration {
            policy.timeUntilReady(count: count, oldest: .seconds(oldest), newest: .seconds(newest))
        }
        #expect(wait(3, 0, 0) == .zero && wait(4, 0, 0) == .zero)
        #expect(wait(2, 4, 3) == .seconds(7))
        #expect(wait(2, 55, 1) == .seconds(5))
        #expect(wait(1, 10, 10) == .zero && wait(2, 61, 0) == .zero && wait(1, 99, 99) == .zero)
        #expect(GroupPolicy(gracePeriod: .seconds(10)).setSize == 1000)
        #expect(policy.setSize == 3 && GroupPolicy(gracePeriod: .seconds(1), maxSize: 1 << 40).setSize == 10_000)
    }
}
