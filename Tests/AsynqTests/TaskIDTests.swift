import Testing

@testable import Asynq

@Suite struct TaskIDTests {
    @Test func `an id is a UUID of version 4 in lower case`() throws {
        for _ in 0..<1000 {
            let id = TaskID.random()
            #expect(id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        }
    }

    @Test func `ids do not repeat`() {
        #expect(Set((0..<10_000).map { _ in TaskID.random() }).count == 10_000)
    }
}
