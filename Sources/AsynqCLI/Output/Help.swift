/// The help of a command in the order in which it is read.
enum Help {
    private static let title = "CONNECTION:\n"

    /// Puts the options of the connection, which are the same everywhere, behind those of the command itself.
    ///
    /// - Parameter text: as the parser prints it: sections with an empty line between them.
    static func ordered(_ text: String) -> String {
        var sections = text.split(separator: "\n\n", omittingEmptySubsequences: false).map(String.init)
        guard let place = sections.firstIndex(where: { $0.hasPrefix(title) }),
            let options = sections[place...].lastIndex(where: { $0.hasPrefix("OPTIONS:\n") })
        else { return text }
        let moved = sections.remove(at: place)
        // The last section has the line break of the whole text.
        let end = String(sections[options - 1].reversed().prefix { $0 == "\n" })
        sections[options - 1].removeLast(end.count)
        sections.insert(moved + end, at: options)
        return sections.joined(separator: "\n\n")
    }
}
