import NIOCore
import RedisClient
import TestSupport
import Testing

/// Reading RESP3, whole and in pieces.
struct RESPParserTests {
    private static func bulk(_ text: String) -> RESPValue { .bulkString(ByteBuffer(string: text)) }

    static let examples: [(text: String, values: [RESPValue])] = [
        ("+OK\r\n", [.simpleString(ByteBuffer(string: "OK"))]),
        ("+\r\n", [.simpleString(ByteBuffer())]),
        ("-ERR no\r\n", [.error(ByteBuffer(string: "ERR no"))]),
        ("!5\r\nE\r\nno\r\n", [.error(ByteBuffer(string: "E\r\nno"))]),
        (":0\r\n:-7\r\n:+8\r\n", [.integer(0), .integer(-7), .integer(8)]),
        (":-9223372036854775808\r\n:9223372036854775807\r\n", [.integer(.min), .integer(.max)]),
        ("$3\r\nabc\r\n", [bulk("abc")]),
        ("$0\r\n\r\n", [bulk("")]),
        ("$4\r\n\r\n\r\n\r\n", [bulk("\r\n\r\n")]),
        ("$-1\r\n*-1\r\n_\r\n", [.null, .null, .null]),
        ("#t\r\n#f\r\n", [.boolean(true), .boolean(false)]),
        (
            ",1.5\r\n,-2e3\r\n,inf\r\n,-inf\r\n",
            [.double(1.5), .double(-2000), .double(.infinity), .double(-.infinity)]
        ),
        ("(123456789012345678901234567890\r\n", [.bigNumber(ByteBuffer(string: "123456789012345678901234567890"))]),
        ("=6\r\ntxt:ab\r\n", [.verbatimString(ByteBuffer(string: "ab"))]),
        ("*0\r\n~0\r\n%0\r\n", [.array([]), .set([]), .map([])]),
        ("*2\r\n:1\r\n$1\r\nx\r\n", [.array([.integer(1), bulk("x")])]),
        ("~1\r\n*1\r\n*1\r\n:5\r\n", [.set([.array([.array([.integer(5)])])])]),
        (
            "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
            [
                .map([
                    .init(key: .simpleString(ByteBuffer(string: "a")), value: .integer(1)),
                    .init(key: .simpleString(ByteBuffer(string: "b")), value: .array([.null])),
                ])
            ]
        ),
        (">2\r\n$7\r\nmessage\r\n*0\r\n", [.push([bulk("message"), .array([])])]),
        // Attributes are dropped: before a reply, inside an array, in one another, and empty.
        ("|1\r\n+k\r\n*2\r\n:1\r\n:2\r\n:3\r\n", [.integer(3)]),
        ("*2\r\n|1\r\n+k\r\n|1\r\n+x\r\n+y\r\n+v\r\n:1\r\n:2\r\n", [.array([.integer(1), .integer(2)])]),
        ("|0\r\n:1\r\n", [.integer(1)]),
    ]

    @Test(arguments: examples.indices)
    func `every type is read, wherever the bytes are split`(index: Int) throws {
        let (text, values) = Self.examples[index]
        let bytes = Array(text.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var parser = RESPParser()
                var read: [RESPValue] = []
                for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    parser.append(ByteBuffer(bytes: piece))
                    while let value = try parser.next() { read.append(value) }
                }
                #expect(read == values, "split at \(first) and \(second)")
                #expect(parser.bufferedBytes == 0)
            }
        }
    }

    @Test func `not a number is read`() throws {
        var parser = RESPParser()
        parser.append(ByteBuffer(string: ",nan\r\n"))
        guard case .double(let number) = try parser.next() else {
            Issue.record("no double")
            return
        }
        #expect(number.isNaN)
    }

    @Test(
        arguments: [
            ("x\r\n", "byte 120, which is no type"), ("\r\n", "a line is empty"),
            (":1a\r\n", "something else than digits"),
            (":\r\n", "no digits"), (":-\r\n", "no digits"), (":9223372036854775808\r\n", "does not fit 64 bits"),
            (":-9223372036854775809\r\n", "does not fit 64 bits"), (":99999999999999999999\r\n", "does not fit"),
            (":--1\r\n", "something else than digits"), ("$abc\r\n", "something else than digits"),
            ("$?\r\n", "something else than digits"), ("$-2\r\n", "a string has a negative length"),
            ("!-1\r\n", "a string has a negative length"), ("=-1\r\n", "a string has a negative length"),
            ("$1\r\nxy\r\n", "does not end where its length says"),
            ("$1\r\nx\n\r", "does not end where its length says"),
            ("=3\r\ntxt\r\n", "a verbatim string has no format"), ("=4\r\ntxt;\r\n", "a verbatim string has no format"),
            ("=2\r\nab\r\n", "a verbatim string has no format"), ("#x\r\n", "neither t nor f"),
            ("#\r\n", "neither t nor f"), ("_x\r\n", "a null has content"), (",one\r\n", "a double is not a number"),
            (",\r\n", "a double is not a number"), ("*-2\r\n", "an aggregate has a negative length"),
            ("%-1\r\n", "negative length"), ("~-1\r\n", "negative length"), (">-1\r\n", "negative length"),
            ("|-1\r\n", "negative length"), ("+no carriage return\n", "does not end with CR LF"),
            ("\n", "does not end with CR LF"), ("*1\r\n?\r\n", "byte 63, which is no type"),
            ("%1\r\n+k\r\n\r\n", "a line is empty"), ("HTTP/1.1 400 Bad Request\r\n", "byte 72, which is no type"),
        ]
    )
    func `what is not RESP3 is refused with a sentence, for good, wherever it is split`(text: String, sentence: String)
    {
        for split in 0...text.utf8.count {
            var parser = RESPParser()
            let bytes = ByteBuffer(string: text)
            parser.append(bytes.getSlice(at: 0, length: split) ?? bytes)
            let error = #expect(throws: RESPParser.Failure.self) {
                while try parser.next() != nil {}
                parser.append(bytes.getSlice(at: split, length: bytes.readableBytes - split) ?? bytes)
                while try parser.next() != nil {}
            }
            #expect(error?.description.contains(sentence) == true, "\(String(describing: error)) at \(split)")
            parser.append(ByteBuffer(string: ":1\r\n"))
            let again = #expect(throws: RESPParser.Failure.self) { try parser.next() }
            #expect(again == error)
        }
    }

    @Test func `limits hold, and are told`() {
        var limits = RESPParser.Limits()
        limits.depth = 2
        limits.bulkLength = 5
        limits.lineLength = 8
        limits.elementCount = 3
        let bad = [
            ("*1\r\n*1\r\n*1\r\n", "nested deeper than the limit of 2"), ("$6\r\n", "longer than the limit of 5"),
            ("+123456789", "a line is longer"), ("+12345678901\r\n", "a line is longer"),
            ("*4\r\n", "4 elements is longer than the limit of 3"), ("%4\r\n", "4 elements"),
        ]
        for (text, reason) in bad {
            var parser = RESPParser(limits: limits)
            parser.append(ByteBuffer(string: text))
            let failure = #expect(throws: RESPParser.Failure.self) { while try parser.next() != nil {} }
            #expect(failure?.description.contains(reason) == true, "\(text)")
        }
    }

    @Test func `an announced length reserves no memory`() throws {
        var parser = RESPParser()
        // 512 MiB and 16 million elements are announced; a few bytes come.
        parser.append(ByteBuffer(string: "*16777216\r\n$536870912\r\nabc"))
        #expect(try parser.next() == nil)
        #expect(parser.bufferedBytes == 3)
    }

    @Test func `a string of 100 MiB is put together from pieces`() throws {
        let size = 100 << 20
        var parser = RESPParser()
        parser.append(ByteBuffer(string: "$\(size)\r\n"))
        let piece = ByteBuffer(repeating: 7, count: 64 << 10)
        for _ in 0..<size / (64 << 10) {
            #expect(try parser.next() == nil)
            parser.append(piece)
        }
        parser.append(ByteBuffer(string: "\r\n:1\r\n"))
        #expect(try parser.next()?.buffer?.readableBytes == size)
        #expect(try parser.next() == .integer(1))
    }

    @Test func `random values come back as they were, in random pieces`() throws {
        for seed in 0..<200 {
            var random = SeededGenerator(seed: UInt64(seed))
            let values = (0..<5).map { _ in Self.value(depth: 4, &random) }
            var bytes: [UInt8] = []
            for value in values { Self.encode(value, into: &bytes) }
            var parser = RESPParser()
            var read: [RESPValue] = []
            var position = 0
            while position < bytes.count {
                let end = min(bytes.count, position + Int.random(in: 1...40, using: &random))
                parser.append(ByteBuffer(bytes: bytes[position..<end]))
                position = end
                while let value = try parser.next() { read.append(value) }
            }
            #expect(read == values, "seed \(seed)")
        }
    }

    private static func value(depth: Int, _ random: inout SeededGenerator) -> RESPValue {
        func list() -> [RESPValue] {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in value(depth: depth - 1, &random) }
        }
        let bytes = (0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &random) {
        case 0: return .null
        case 1: return .boolean(.random(using: &random))
        case 2: return .integer(.random(in: .min ... .max, using: &random))
        case 3: return .double(Double(Int.random(in: -1000...1000, using: &random)) / 8)
        case 4: return .verbatimString(ByteBuffer(bytes: bytes))
        case 5: return .error(ByteBuffer(bytes: bytes))
        case 6: return .bulkString(ByteBuffer(bytes: bytes))
        case 7: return .array(list())
        case 8: return .set(list())
        default:
            let pairs = zip(list(), list())
            return .map(pairs.map { RESPValue.Pair(key: $0, value: $1) })
        }
    }

    private static func encode(_ value: RESPValue, into bytes: inout [UInt8]) {
        func put(_ text: String) { bytes += Array("\(text)\r\n".utf8) }
        func blob(_ type: String, _ content: [UInt8]) {
            put("\(type)\(content.count)")
            bytes += content
            put("")
        }
        switch value {
        case .null: put("_")
        case .boolean(let flag): put(flag ? "#t" : "#f")
        case .integer(let number): put(":\(number)")
        case .double(let number): put(",\(number)")
        case .verbatimString(let text): blob("=", Array("bin:".utf8) + Array(text.readableBytesView))
        case .error(let text): blob("!", Array(text.readableBytesView))
        case .bulkString(let text): blob("$", Array(text.readableBytesView))
        case .simpleString(let text): put("+\(String(buffer: text))")
        case .bigNumber(let text): put("(\(String(buffer: text))")
        case .array(let items): encode("*", items, into: &bytes)
        case .set(let items): encode("~", items, into: &bytes)
        case .push(let items): encode(">", items, into: &bytes)
        case .map(let pairs):
            put("%\(pairs.count)")
            for pair in pairs {
                encode(pair.key, into: &bytes)
                encode(pair.value, into: &bytes)
            }
        }
    }

    private static func encode(_ type: String, _ items: [RESPValue], into bytes: inout [UInt8]) {
        bytes += Array("\(type)\(items.count)\r\n".utf8)
        for item in items { encode(item, into: &bytes) }
    }
}
