import Asynq

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension BrokerConformance {
    static let semaphoreRules: [Rule] = [
        Rule("a semaphore has so many places, and one that is given back is free") { subject in
            let a = try await subject.acquire("a", limit: 2)
            try expect(a != nil, "the first place is free")
            try expect(try await subject.acquire("b", limit: 2) != nil, "the second place is free")
            try expect(try await subject.acquire("c", limit: 2) == nil, "there is no third")
            try expectEqual(try await subject.release(a), true, "given back")
            try expect(try await subject.acquire("c", limit: 2) != nil, "the place that was given back is free")
            try expect(try await subject.acquire("d", limit: 2) == nil, "and then taken")
        },
        Rule("semaphores of other scopes have places of their own, whatever they are called") { subject in
            for scope in ["s", "", "{s}", "a:b", "with space", "\u{1F600}", "nul\0", "S"] {
                try expect(try await subject.acquire("a", scope: scope) != nil, "\"\(scope)\" is free")
                try expect(try await subject.acquire("b", scope: scope) == nil, "\"\(scope)\" is full")
            }
        },
        Rule("a place is free when its deadline has passed, and not before") { subject in
            try expect(try await subject.acquire("a", seconds: 300) != nil, "free")
            try await subject.advance(270)
            try expect(try await subject.acquire("b") == nil, "still held after 270 s")
            try await subject.advance(32)
            try expect(try await subject.acquire("b") != nil, "free after 302 s")
        },
        Rule("a place lasts at least a second, and a fraction is rounded up") { subject in
            for duration in [Duration.seconds(-5), .zero, .milliseconds(1), .milliseconds(999)] {
                let before = try await subject.fixture.now().timeIntervalSince1970
                let lease = try await subject.broker.acquirePermit(
                    PermitRequest(scope: "\(duration)", limit: 1, holder: "a", duration: duration)
                )
                let after = try await subject.fixture.now().timeIntervalSince1970
                let deadline = Double(lease?.deadline ?? 0)
                try expect(
                    deadline > before && deadline <= after + 1,
                    "\(duration): held until \(deadline), asked for between \(before) and \(after)"
                )
            }
            let lease = try await subject.broker.acquirePermit(
                PermitRequest(scope: "long", limit: 1, holder: "a", duration: .seconds(Int64.max))
            )
            try expect((lease?.deadline ?? 0) > 4_000_000_000, "a very long one is long")
        },
        Rule("a holder that asks again keeps its place until the new deadline, even when all are taken") { subject in
            let first = try await subject.acquire("a", seconds: 100)
            try expect(first != nil, "free")
            try expect(try await subject.acquire("a", seconds: 600) != nil, "the holder is not refused")
            try await subject.advance(300)
            try expect(try await subject.acquire("b") == nil, "held beyond the first deadline")
            // Anew, because a fixture may make the store older instead of the clock later.
            let last = try await subject.acquire("a", seconds: 900)
            try expectEqual(try await subject.release(first), false, "the first place is no more")
            try expect(try await subject.acquire("b") == nil, "and the last is not touched by that")
            try expectEqual(try await subject.release(last), true, "the last is given back")
            try expect(try await subject.acquire("b") != nil, "free")
        },
        Rule("a place is given back once, and only by its holder") { subject in
            let a = try await subject.acquire("a")
            guard var other = a else { throw BrokenRule("a free place was refused", #line) }
            other.holder = "b"
            try expectEqual(try await subject.release(other), false, "by another")
            other = PermitLease(scope: "other", holder: "a", deadline: other.deadline)
            try expectEqual(try await subject.release(other), false, "in another semaphore")
            try expectEqual(try await subject.release(a), true, "by its holder")
            try expectEqual(try await subject.release(a), false, "twice")
        },
        Rule("a smaller limit is kept by those who ask for it") { subject in
            for holder in ["a", "b", "c"] { try expect(try await subject.acquire(holder, limit: 3) != nil, holder) }
            try expect(try await subject.acquire("d", limit: 2) == nil, "three are taken, which is more than two")
            try expect(try await subject.acquire("d", limit: 4) != nil, "and less than four")
        },
        Rule("however many ask at once, from several brokers, no more get a place than there are") { subject in
            let brokers = [subject.broker, try await subject.fixture.anotherBroker()]
            let granted = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        let request = PermitRequest(
                            scope: "s",
                            limit: 7,
                            holder: "t\(index)",
                            duration: .seconds(600)
                        )
                        return try await brokers[index % 2].acquirePermit(request) != nil
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            try expectEqual(granted, 7, "places")
        },
    ]
}

extension ConformanceSubject {
    fileprivate func acquire(
        _ holder: String,
        scope: String = "s",
        limit: Int = 1,
        seconds: Int64 = 600
    ) async throws -> PermitLease? {
        let request = PermitRequest(scope: scope, limit: limit, holder: holder, duration: .seconds(seconds))
        let lease = try await broker.acquirePermit(request)
        if let lease {
            try expectEqual(lease.scope, scope, "scope")
            try expectEqual(lease.holder, holder, "holder")
        }
        return lease
    }

    fileprivate func release(_ lease: PermitLease?) async throws -> Bool {
        guard let lease else { throw BrokenRule("a free place was refused", #line) }
        return try await broker.releasePermit(lease)
    }
}
