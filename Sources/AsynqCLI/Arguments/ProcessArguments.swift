#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The arguments as other users of this machine see them in the list of processes.
enum ProcessArguments {
    /// Overwrites passwords with `x`. They were visible for a moment: ASYNQ_PASSWORD never is.
    static func hideSecrets() {
        let words = CommandLine.arguments
        for (index, range) in secrets(in: words) {
            guard let word = CommandLine.unsafeArgv[index] else { continue }
            for offset in range where word[offset] != 0 { word[offset] = CChar(UInt8(ascii: "x")) }
        }
    }

    /// Where secrets stand: which word, and which of its bytes.
    static func secrets(in words: [String]) -> [(index: Int, bytes: Range<Int>)] {
        var found: [(index: Int, bytes: Range<Int>)] = []
        for (index, word) in words.enumerated() {
            let count = word.utf8.count
            if index > 0, words[index - 1] == "-p" || words[index - 1] == "--password" {
                found.append((index, 0..<count))
            } else if word.hasPrefix("--password=") {
                found.append((index, "--password=".utf8.count..<count))
            } else if word.hasPrefix("-p"), !word.hasPrefix("--"), count > 2 {
                found.append((index, 2..<count))
            } else if let scheme = word.utf8Index(of: "://"), let at = word.utf8.lastIndex(of: UInt8(ascii: "@")) {
                let start = scheme + 3
                let end = word.utf8.distance(from: word.utf8.startIndex, to: at)
                if start < end { found.append((index, start..<end)) }
            }
        }
        return found
    }
}

extension String {
    /// At which byte a text begins.
    fileprivate func utf8Index(of text: String) -> Int? {
        firstRange(of: text).map { utf8.distance(from: utf8.startIndex, to: $0.lowerBound) }
    }
}
