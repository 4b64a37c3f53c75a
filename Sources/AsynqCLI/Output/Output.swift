#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where results go: text for people, or JSON for programs.
struct Output: Sendable {
    let isJSON: Bool
    let isTerminal: Bool
    let isColoured: Bool
    /// Of the terminal; `nil` in a pipe, where nothing is cut.
    let width: Int?

    init(json: Bool, environment: [String: String]) {
        isJSON = json
        isTerminal = isatty(STDOUT_FILENO) == 1
        isColoured = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        let asked = environment["COLUMNS"].flatMap(Int.init).flatMap { $0 > 0 ? $0 : nil }
        width = (isTerminal ? TerminalSize.ofStandardOutput?.columns : nil) ?? asked
    }

    /// Whether somebody is there to be asked.
    static var canAsk: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

    func print(_ json: @autoclosure () -> JSONValue, text: (inout Page) -> Void) {
        if isJSON {
            Self.write(json().text + "\n")
        } else {
            var page = Page(output: self)
            text(&page)
            Self.write(page.text)
        }
    }

    func styled(_ text: String, _ style: Style) -> String { isColoured ? style.applied(to: text) : text }

    /// Text as it is written, line by line.
    struct Page {
        let output: Output
        fileprivate(set) var text = ""

        /// What is from others goes through ``Printable`` first.
        mutating func line(_ line: String = "") { text += line + "\n" }

        mutating func table(_ table: Table, ifEmpty message: String) {
            guard !table.rows.isEmpty else { return line(message) }
            for line in table.lines(width: output.width, isColoured: output.isColoured) { self.line(line) }
        }

        mutating func heading(_ text: String) { line(output.styled(text, .bold)) }

        /// Names and values under each other.
        mutating func fields(_ fields: [(name: String, value: String)]) {
            let width = fields.map { Printable.width($0.name) }.max() ?? 0
            for field in fields {
                line(output.styled(field.name.padded(to: width), .bold) + "  " + Printable.line(field.value))
            }
        }
    }

    /// A question that is answered with yes or no, at the terminal.
    static func confirm(_ question: String) -> Bool {
        write("\(question) [y/N] ", to: STDERR_FILENO)
        guard let answer = readLine() else { return false }
        return ["y", "yes"].contains(answer.lowercased())
    }

    static func toErrors(_ text: String) { write(text, to: STDERR_FILENO) }

    static func complain(_ message: String) { write("asynq: \(message)\n", to: STDERR_FILENO) }

    /// Writes all of it at once. If nobody reads any more, ends the program as if it had done its work.
    static func write(_ text: String, to descriptor: Int32 = STDOUT_FILENO) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = withUnsafeMutablePointer(to: &poll) { systemPoll($0) }
            } else if errno != EINTR {
                let (code, reason) = (errno, String(cString: strerror(errno)))
                if code != EPIPE, descriptor != STDERR_FILENO {
                    complain("cannot write the result: \(reason); what was asked for may have been done")
                }
                exit(code == EPIPE ? 0 : 1)
            }
        }
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Darwin)
        Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Glibc)
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}

private func systemPoll(_ descriptor: UnsafeMutablePointer<pollfd>) -> Int32 { poll(descriptor, 1, -1) }

/// How large a terminal is.
struct TerminalSize: Sendable, Hashable {
    var columns: Int
    var rows: Int

    /// `nil` if it is no terminal, or does not say.
    static var ofStandardOutput: TerminalSize? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return TerminalSize(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }
}
