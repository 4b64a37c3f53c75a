extension FinishRequest {
    /// The task's message after this outcome, as it is to be stored: with the error of a failed attempt, or the time of
    /// a success. A task that is handed back keeps its message.
    ///
    /// - Parameter seconds: the broker's time, in Unix seconds.
    public func message(endedAt seconds: Int64) -> TaskMessage {
        var message = task.message
        switch outcome {
        case .done:
            message.completedAt = seconds
        case .retry(_, let error, let countsAsFailure):
            message.errorMessage = error
            message.lastFailedAt = seconds
            if countsAsFailure { message.retried += 1 }
        case .archive(let error):
            message.errorMessage = error
            message.lastFailedAt = seconds
        case .requeue, .drop: break
        }
        return message
    }
}

/// How much an archive holds (spec 1, "Transitions"). What is trimmed is deleted with all that belongs to it.
public enum ArchiveLimit {
    /// Tasks in each queue.
    public static let count = 10_000
    /// How long a task stays.
    public static let age = Duration.days(90)
}
