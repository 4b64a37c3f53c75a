import Asynq
import NIOCore
import RedisClient
import Testing

@testable import AsynqRedis

/// What an answer to WAIT and WAITAOF says.
struct DurabilityReplyTests {
    @Test(
        arguments: [
            (RedisDurability.replicas(2), RESPValue.integer(2), nil), (.replicas(2), .integer(3), nil),
            (.replicas(2), .integer(1), "only 1 of 2 replicas"), (.replicas(2), .null, "only 0 of 2 replicas"),
            (.appendOnlyFiles(), .array([.integer(1), .integer(0)]), nil),
            (.appendOnlyFiles(), .array([.integer(0), .integer(0)]), "0 of 1 masters"),
            (.appendOnlyFiles(replicas: 1), .array([.integer(1), .integer(1)]), nil),
            (.appendOnlyFiles(replicas: 1), .array([.integer(1), .integer(0)]), "0 of 1 replicas"),
            (.appendOnlyFiles(replicas: 1), .array([]), "0 of 1 replicas"),
        ] as [(RedisDurability, RESPValue, String?)]
    )
    func `too few confirmations are an error`(durability: RedisDurability, reply: RESPValue, text: String?) {
        let error = durability.shortfall(reply)
        #expect((error == nil) == (text == nil))
        if let text { #expect(error?.code == .notReplicated && error?.message.contains(text) == true, "\(text)") }
    }

    @Test func `the commands carry the numbers and the time`() {
        func text(_ durability: RedisDurability) -> String? {
            durability.command.map { String(buffer: $0.encoded).split(separator: "\r\n").joined(separator: " ") }
        }
        #expect(text(.master) == nil)
        #expect(text(.replicas(2, within: .seconds(1))) == "*3 $4 WAIT $1 2 $4 1000")
        #expect(text(.appendOnlyFiles(replicas: 1)) == "*4 $7 WAITAOF $1 1 $1 1 $4 2000")
    }
}
