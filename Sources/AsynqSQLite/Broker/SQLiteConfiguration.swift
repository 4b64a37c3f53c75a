/// How a ``SQLiteBroker`` uses its file.
public struct SQLiteConfiguration: Sendable {
    /// What survives a loss of power. A crash of the process loses nothing either way, and the file is never damaged.
    public enum Durability: Sendable, Hashable {
        /// The last transactions before a loss of power may be missing: `synchronous = NORMAL`. Several times faster.
        case normal
        /// Whatever was acknowledged is on the disk: `synchronous = FULL`.
        case full
    }

    /// Default: ``Durability/normal``.
    public var durability = Durability.normal
    /// How long to wait while another process writes, before an operation fails with `brokerUnavailable`. Others hold the
    /// lock for milliseconds as a rule. Default: 5 s.
    public var busyTimeout: Duration = .seconds(5)

    /// The largest size of the file in pages of 4 KiB; `nil`: that of the disk.
    package var maxPageCount: Int?

    public init() {}
}
