import Foundation

/// One line of JSON: names and figures in the order given.
struct Report {
    private var fields: [String] = []

    init(_ benchmark: String) {
        fields.append("\"benchmark\":\"\(benchmark)\"")
    }

    mutating func add(_ name: String, _ value: Int) { fields.append("\"\(name)\":\(value)") }

    mutating func add(_ name: String, _ value: Double, digits: Int = 3) {
        fields.append("\"\(name)\":\(String(format: "%.\(digits)f", value))")
    }

    /// Tasks, seconds and tasks a second.
    mutating func add(tasks: Int, in duration: Duration) {
        add("tasks", tasks)
        add("seconds", duration.seconds)
        add("tasks_per_second", Int(Double(tasks) / duration.seconds))
    }

    /// Prints it with what the process has used so far.
    mutating func print() {
        add("cpu_seconds", Self.cpuSeconds)
        add("peak_rss_mib", Self.peakMemory, digits: 1)
        Swift.print("{\(fields.joined(separator: ","))}")
        fflush(nil)
    }

    private static var usage: rusage {
        var usage = rusage()
        #if os(Linux)
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #else
        getrusage(RUSAGE_SELF, &usage)
        #endif
        return usage
    }

    static var cpuSeconds: Double {
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let usage = usage
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// The most memory that this program has held at once, in MiB.
    static var peakMemory: Double {
        #if os(Linux)
        // Not `ru_maxrss`: it counts what the shell held from which this program was started, too.
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) }
        return (kibibytes ?? .nan) / 1024
        #else
        return Double(usage.ru_maxrss) / 1_048_576
        #endif
    }
}
