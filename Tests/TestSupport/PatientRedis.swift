package import RedisClient

extension RedisConfiguration {
    /// With time for an answer that no busy machine exceeds, for tests of other things than time-outs.
    ///
    /// - Parameter dialTimeout: where Redis is away callers wait so long before they are told. More where it never is.
    package static func patient(_ uri: String, dialTimeout: Duration = .seconds(5)) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(uri)
        configuration.dialTimeout = dialTimeout
        configuration.readTimeout = .seconds(60)
        configuration.writeTimeout = .seconds(60)
        return configuration
    }
}
