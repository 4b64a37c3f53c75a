import Foundation
import Synchronization

/// Collects what happens in concurrent code, and waits for it.
package final class Recorder<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    package init() {}

    package var elements: [Element] { state.withLock { $0.elements } }
    package var count: Int { state.withLock { $0.elements.count } }

    package func add(_ element: Element) {
        let ready = state.withLock { state in
            state.elements.append(element)
            let count = state.elements.count
            let ready = state.waiters.filter { $0.count <= count }
            state.waiters.removeAll { $0.count <= count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// Waits until there are so many. Ends the tests, and says where it waits, if they do not come within five minutes: what
    /// waits for ever tells nobody why.
    package func wait(for count: Int, file: StaticString = #file, line: UInt = #line) async {
        let alarm = Task {
            guard (try? await Task.sleep(for: .seconds(300))) != nil else { return }
            giveUp("\(file):\(line): waits for \(count) in vain, there are \(self.count)")
        }
        defer { alarm.cancel() }
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.elements.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

/// Ends the tests with this as the last that they print. A trap would print pages behind it.
private func giveUp(_ text: String) -> Never {
    FileHandle.standardError.write(Data("error: \(text)\n".utf8))
    _exit(1)
}
