import Logging
import RedisClient
import Testing

/// Connection URIs and settings (spec 2, "Connection").
struct ConfigurationTests {
    private struct Parts: Equatable {
        var place: String
        var user: String?
        var password: String?
        var database = 0
        var isEncrypted = false
    }

    @Test func `URIs are read`() throws {
        let table: [(String, Parts)] = [
            ("redis://localhost", Parts(place: "localhost:6379")),
            ("redis://h:1/2", Parts(place: "h:1", database: 2)),
            ("redis://h:1/", Parts(place: "h:1")),
            ("redis://:pw@h", Parts(place: "h:6379", password: "pw")),
            ("redis://u:p%40%3A%2F@h:7", Parts(place: "h:7", user: "u", password: "p@:/")),
            ("redis://u:p@ss@h", Parts(place: "h:6379", user: "u", password: "p@ss")),
            ("redis://u@h", Parts(place: "h:6379", user: "u")),
            ("rediss://[::1]:1/0", Parts(place: "[::1]:1", isEncrypted: true)),
            ("redis://[fe80::1]", Parts(place: "[fe80::1]:6379")),
            ("redis://", Parts(place: "127.0.0.1:6379")),
            ("h:9", Parts(place: "h:9")),
            ("h", Parts(place: "h:6379")),
            ("redis-socket:///run/redis.sock", Parts(place: "/run/redis.sock")),
            ("redis-socket://:pw@/run/redis.sock?db=3", Parts(place: "/run/redis.sock", password: "pw", database: 3)),
        ]
        for (uri, wanted) in table {
            let configuration = try RedisConfiguration(uri)
            let parts = Parts(
                place: "\(configuration.endpoint)",
                user: configuration.username,
                password: configuration.password,
                database: configuration.database,
                isEncrypted: configuration.tls != nil
            )
            #expect(parts == wanted, "\(uri)")
        }
    }

    @Test func `a configuration has the defaults of the contract`() throws {
        for configuration in [RedisConfiguration(), try RedisConfiguration("redis://")] {
            #expect(configuration.endpoint == .host("127.0.0.1", port: 6379) && configuration.database == 0)
            #expect(configuration.username == nil && configuration.password == nil && configuration.tls == nil)
            #expect(configuration.dialTimeout == .seconds(5))
            #expect(configuration.readTimeout == .seconds(3) && configuration.writeTimeout == .seconds(3))
            #expect(configuration.poolSize == 1)
        }
        #expect(try RedisConfiguration("rediss://h").tls?.verification == .full)
    }

    @Test func `URIs of Sentinels are read`() throws {
        let full = try RedisConfiguration(
            "redis-sentinel://u:s%40@a,b:1,[::1]:2/3?master=m&username=app&password=p%26q"
        )
        let sentinel = try #require(full.sentinel)
        #expect(sentinel.endpoints.map { "\($0)" } == ["a:26379", "b:1", "[::1]:2"])
        #expect(sentinel.masterName == "m" && sentinel.username == "u" && sentinel.password == "s@")
        #expect(full.username == "app" && full.password == "p&q" && full.database == 3 && full.tls == nil)
        #expect(full.description == "redis-sentinel://a:26379,b:1,[::1]:2/3?master=m")

        let short = try RedisConfiguration("rediss-sentinel://:s@a")
        #expect(short.sentinel?.masterName == "mymaster" && short.sentinel?.password == "s")
        #expect(short.password == nil && short.tls != nil)
    }

    @Test func `URIs of a Cluster are read`() throws {
        let configuration = try RedisConfiguration("rediss-cluster://u:p@a,b:1,a")
        #expect(configuration.cluster?.endpoints.map { "\($0)" } == ["a:6379", "b:1"])
        #expect(configuration.username == "u" && configuration.password == "p" && configuration.tls != nil)
        #expect(configuration.description == "rediss-cluster://a:6379,b:1")
    }

    @Test(
        arguments: [
            ("http://h", "http"), ("redis://h:x", "port"), ("redis://h:0", "port"), ("redis://h:65536", "port"),
            ("redis://h/x", "database"), ("redis://h/-1", "database"), ("redis://h?db=1", "query"),
            ("redis://::1", "brackets"), ("redis://[::1", "bracket"), ("redis://a b", "white space"),
            ("redis://u:p%zz@h", "%25"), ("redis-socket://", "path"), ("redis-socket:///s?x=1", "not \"x\""),
            ("redis-cluster://h/1", "one database"), ("redis-sentinel://a,,b", "between two commas"),
            ("redis-sentinel://a,b:x", "port"), ("redis-sentinel://a/x", "database"),
            ("redis-sentinel://a?name=x", "only master"),
        ]
    )
    func `a URI that is wrong is refused with what is wrong`(uri: String, text: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(uri) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }

    @Test func `no text about a configuration holds its password`() throws {
        var texts: [String] = []
        for uri in [
            "redis://user:hunter2@h:1/2", "redis-socket://:hunter2@/s", "rediss://:hunter2@h",
            "redis-sentinel://:hunter2@h?password=hunter2",
        ] {
            let configuration = try RedisConfiguration(uri)
            var dumped = ""
            dump(configuration, to: &dumped)
            if let sentinel = configuration.sentinel {
                dump(sentinel, to: &dumped)
                texts += ["\(sentinel)", String(reflecting: sentinel)]
            }
            texts += [configuration.description, "\(configuration)", String(reflecting: configuration), dumped]
        }
        for uri in ["redis://u:hunter2@h:x", "redis://u:hunter2%@h", "nosuch://u:hunter2@h", "redis://u:hunter2@h/x"] {
            let error = #expect(throws: RedisError.self) { try RedisConfiguration(uri) }
            texts += [error?.message ?? "", String(reflecting: error)]
        }
        for text in texts { #expect(!text.contains("hunter2"), "\(text)") }
    }

    @Test func `settings that contradict each other are refused`() {
        func refuses(_ change: (inout RedisConfiguration) -> Void) -> Bool {
            var configuration = RedisConfiguration()
            change(&configuration)
            do {
                _ = try configuration.makeTopology(logger: Logger(label: "test"))
                return false
            } catch {
                return error.code == .invalidConfiguration
            }
        }
        #expect(!refuses { _ in })
        #expect(refuses { $0.database = -1 })
        #expect(refuses { $0.poolSize = 0 })
        #expect(refuses { $0.maxInFlight = 0 })
        #expect(refuses { $0.dialTimeout = .zero })
        #expect(refuses { $0.readTimeout = .zero })
        #expect(refuses { $0.writeTimeout = .zero })
        #expect(refuses { $0.sentinel = .init(endpoints: []) })
        #expect(refuses { $0.cluster = .init(endpoints: []) })
        #expect(
            refuses {
                $0.cluster = .init(endpoints: [.host("a", port: 1)])
                $0.database = 1
            }
        )
        #expect(
            refuses {
                $0.sentinel = .init(endpoints: [.host("a", port: 1)])
                $0.sentinel?.masterName = "a b"
            }
        )
        #expect(
            refuses {
                $0.tls = .init()
                $0.tls?.certificateFile = "c.pem"
            }
        )
    }
}
