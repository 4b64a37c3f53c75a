package import RedisClient

extension RedisConfiguration {
    /// With time for an answer that no busy machine exceeds, for tests of other things than time-outs. Not with more time to
    /// connect: where Redis is away callers wait so long before they are told.
    package static func patient(_ uri: String) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(uri)
        configuration.readTimeout = .seconds(60)
        configuration.writeTimeout = .seconds(60)
        return configuration
    }
}
