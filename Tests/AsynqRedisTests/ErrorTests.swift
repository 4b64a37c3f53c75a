import Asynq
import RedisClient
import Testing

@testable import AsynqRedis

/// What callers are told when Redis refuses something.
struct ErrorTests {
    /// A server that is started again loads its file first, and answers so to everything.
    @Test(arguments: [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "NOREPLICAS Not enough good replicas to write.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
    ])
    func `a server that cannot answer for the moment is away`(text: String) {
        #expect(AsynqError(RedisError(.serverError, text)).code == .brokerUnavailable)
    }

    @Test(arguments: [
        "WRONGTYPE Operation against a key holding the wrong kind of value", "ERR unknown command", "NOPERM",
    ])
    func `what will be refused again is a failure`(text: String) {
        #expect(AsynqError(RedisError(.serverError, text)).code == .brokerFailure)
    }
}
