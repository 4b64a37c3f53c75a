import NIOCore
import Synchronization

/// Commands that a caller sends together, and the caller's callback. Completes exactly once: with the replies, with
/// errors, or by being cancelled.
package final class RedisRequest: Sendable {
    package typealias Completion = @Sendable ([Result<RESPValue, RedisError>]) -> Void

    let commands: [RESPCommand]
    private let completion: Mutex<Completion?>
    /// Whose commands these are, where they are sent more than once.
    private let caller: RedisRequest?

    init(_ commands: [RESPCommand], for caller: RedisRequest? = nil, completion: @escaping Completion) {
        self.commands = commands
        self.caller = caller
        self.completion = Mutex(completion)
    }

    /// Bytes to send.
    var size: Int { commands.reduce(0) { $0 + $1.encoded.readableBytes } }

    /// What to send.
    var encoded: ByteBuffer {
        if commands.count == 1 { return commands[0].encoded }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(size)
        for command in commands { buffer.writeImmutableBuffer(command.encoded) }
        return buffer
    }

    func complete(_ replies: [Result<RESPValue, RedisError>]) {
        completion.withLock { $0.take() }?(replies)
    }

    /// - Parameter replies: those of the first commands, which have come.
    func fail(_ error: RedisError, after replies: [Result<RESPValue, RedisError>] = []) {
        complete(replies + commands.dropFirst(replies.count).map { .failure(error.with(command: $0.name)) })
    }

    /// Nobody waits any more.
    var isCompleted: Bool { completion.withLock { $0 == nil } || caller?.isCompleted == true }

    /// Forgets the caller, who gets `cancelled` errors at once. What has been sent is answered all the same, and the
    /// answer dropped, so that replies stay in step.
    package func cancel() {
        fail(RedisError(.cancelled, "the caller was cancelled"))
    }
}
