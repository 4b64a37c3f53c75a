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
        return text.withUTF8 { $0.count == bytes.count && $0.elementsEqual(bytes) }
    }
}
