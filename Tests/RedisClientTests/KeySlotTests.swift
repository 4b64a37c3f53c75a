import RedisClient
import Testing

struct KeySlotTests {
    /// As Redis Cluster's specification and its servers have them.
    @Test(
        arguments: [
            ("123456789", 0x31C3), ("foo", 12182), ("", 0), ("{user1000}.following", 3443), ("user1000", 3443),
            ("{user1000}.followers", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), ("foo{bar}{zap}", 5061),
            ("asynq:{default}:", 5718), ("default", 5718),
        ]
    )
    func `a key belongs to the slot that a cluster gives it`(key: String, slot: Int) {
        #expect(KeySlot.slot(of: key) == slot)
    }
}
