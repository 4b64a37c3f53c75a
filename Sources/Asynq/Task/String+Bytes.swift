extension String {
    /// Whether both are written with the same bytes. `==` also takes for equal what is written with different characters,
    /// such as é as one or as two.
    package func hasSameBytes(as other: String) -> Bool {
        var other = other
        return other.withUTF8 { hasBytes($0) }
    }

    /// Whether the text is written with these bytes.
    package func hasBytes(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var text = self
        // Where they lie in a row: the views' own comparison steps from character to character.
        return text.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: UnsafeRawBufferPointer(bytes)) }
    }
}

extension UnsafeRawBufferPointer {
    /// Eight at a time.
    fileprivate func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        var place = 0
        while place + 8 <= count {
            let left = loadUnaligned(fromByteOffset: place, as: UInt64.self)
            guard left == other.loadUnaligned(fromByteOffset: place, as: UInt64.self) else { return false }
            place += 8
        }
        while place < count {
            guard self[place] == other[place] else { return false }
            place += 1
        }
        return true
    }
}
