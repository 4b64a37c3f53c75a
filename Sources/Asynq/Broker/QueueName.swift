/// A queue's name as a key of a dictionary. Two names are the same if their bytes are, as in a store: Swift's own comparison
/// takes texts for equal that are written with different characters, such as é as one or as two.
package struct QueueName: Sendable, Hashable {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package static func == (left: QueueName, right: QueueName) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
