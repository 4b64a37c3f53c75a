#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The files of the front end: those in the program, or those in a folder while somebody works on them.
struct AssetStore: Sendable {
    static let index = "index.html"
    /// Stands in the index for the path under which it is served.
    static let rootMark = "{{root}}"

    private static let embedded = Dictionary(
        uniqueKeysWithValues: EmbeddedAssets.files.map { ($0.path, Asset($0.path, $0.bytes)) }
    )

    private let folder: String?

    init(folder: String?) {
        self.folder = folder
    }

    func asset(_ path: String) -> Asset? {
        guard let folder else { return Self.embedded[path] }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") && !$0.contains("\0") }),
            let data = FileManager.default.contents(atPath: "\(folder)/\(path)")
        else { return nil }
        return Asset(path, Array(data))
    }

    /// The page that all paths of the front end show.
    ///
    /// - Parameter root: the path under which the dashboard is served, without `/` at its end.
    func page(root: String) -> Asset? {
        guard let index = asset(Self.index) else { return nil }
        let text = String(decoding: index.bytes, as: UTF8.self).replacing(Self.rootMark, with: Self.escaped(root))
        return Asset(Self.index, Array(text.utf8))
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { text, character in
            switch character {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            default: text.append(character)
            }
        }
    }
}
