/// Finds what somebody meant who mistyped it.
enum Suggestion {
    /// The nearest of some words; `nil` if none is near.
    static func nearest(to word: String, among words: [String]) -> String? {
        let word = word.lowercased()
        let ranked = words.map { (word: $0, distance: distance(word, $0.lowercased())) }
        guard let best = ranked.min(by: { ($0.distance, $0.word) < ($1.distance, $1.word) }) else { return nil }
        return best.distance <= max(1, min(word.count, best.word.count) / 2) ? best.word : nil
    }

    /// How many letters must be added, left out, changed or swapped with the next to make one word of the other.
    static func distance(_ first: String, _ second: String) -> Int {
        let (first, second) = (Array(first), Array(second))
        var rows = [Array(0...second.count)]
        for i in 0..<first.count {
            var row = [i + 1]
            for j in 0..<second.count {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (first[i] == second[j] ? 0 : 1))
                if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
                    best = min(best, rows[i - 1][j - 1] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[first.count][second.count]
    }
}
