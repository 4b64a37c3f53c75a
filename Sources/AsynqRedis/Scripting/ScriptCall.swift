internal import NIOCore
internal import RedisClient

/// A call of a script: EVALSHA, and when the server does not have the script, EVAL with the same arguments.
struct ScriptCall: Sendable {
    let script: RedisScript
    let command: RESPCommand
    private let wordCount: Int

    /// Writes the arguments in the order in which the script reads them.
    struct Builder {
        private let script: RedisScript
        private let wordCount: Int
        private var builder: RESPCommandBuilder

        /// - Parameters:
        ///   - argumentCount: of ARGV; exactly so many must be appended.
        ///   - capacity: how many bytes the arguments will take, about.
        init(_ script: RedisScript, keys: [String], argumentCount: Int, capacity: Int = 64) {
            self.script = script
            wordCount = 3 + keys.count + argumentCount
            builder = RESPCommandBuilder(
                name: "EVALSHA",
                argumentCount: 2 + keys.count + argumentCount,
                reservingCapacity: 128 + keys.count * 48 + capacity + 12 * argumentCount
            )
            builder.append(script.sha1)
            builder.append(keys.count)
            for key in keys { builder.append(key) }
        }

        /// A call of a script that works on one queue.
        ///
        /// It names one key more, which never exists. While a Cluster moves a slot, the old node runs no script that names a
        /// key that is missing there, nor does the new one if the script names others too. So each script of the queue is
        /// refused as a whole until the slot has arrived, instead of running until it meets the first key that has been moved,
        /// or that it has emptied itself, or of taking what has not arrived yet for missing.
        init(_ script: RedisScript, of queue: QueueKeys, keys: [String], argumentCount: Int, capacity: Int = 64) {
            self.init(script, keys: keys + [queue.base], argumentCount: argumentCount, capacity: capacity)
        }

        mutating func append(_ text: String) { builder.append(text) }
        mutating func append(_ bytes: [UInt8]) { builder.append(bytes) }
        mutating func append(_ number: Int) { builder.append(number) }
        mutating func append(_ number: Int64) { builder.append(number) }

        func finish() -> ScriptCall {
            ScriptCall(script: script, command: builder.finish(), wordCount: wordCount)
        }
    }

    private init(script: RedisScript, command: RESPCommand, wordCount: Int) {
        self.script = script
        self.command = command
        self.wordCount = wordCount
    }

    /// The same call with the script in full.
    var withSource: RESPCommand {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(script.source.count + command.encoded.readableBytes + 32)
        buffer.writeString("*\(wordCount)\r\n$4\r\nEVAL\r\n$\(script.source.count)\r\n")
        buffer.writeBytes(script.source)
        buffer.writeString("\r\n")
        // What EVALSHA and EVAL have in common begins behind the name of the one and the hash.
        let start = "*\(wordCount)\r\n$7\r\nEVALSHA\r\n$40\r\n".utf8.count + 40 + 2
        var arguments = command.encoded
        arguments.moveReaderIndex(forwardBy: start)
        buffer.writeImmutableBuffer(arguments)
        return RESPCommand(name: "EVAL", encoded: buffer)
    }
}
