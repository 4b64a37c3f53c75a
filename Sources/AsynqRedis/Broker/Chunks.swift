extension RandomAccessCollection where Index == Int {
    /// Splits into pieces of limited number and size; a single element may be larger than `maxSize`.
    ///
    /// - Parameter size: a closure: a key path of two steps is walked anew for each element.
    func chunks(maxCount: Int, maxSize: Int = .max, size: (Element) -> Int = { _ in 0 }) -> [SubSequence] {
        var chunks: [SubSequence] = []
        var start = startIndex
        var total = 0
        for index in indices {
            let next = size(self[index])
            if index > start, index - start >= maxCount || total + next > maxSize {
                chunks.append(self[start..<index])
                start = index
                total = 0
            }
            total += next
        }
        if start < endIndex { chunks.append(self[start..<endIndex]) }
        return chunks
    }
}
