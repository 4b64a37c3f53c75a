/// Where a command goes that a node of a Cluster has not run. A value with no I/O.
enum ClusterRedirect: Hashable, Sendable {
    /// To this node, which serves the slot now.
    case moved(slot: Int, RedisConfiguration.Endpoint)
    /// To this node, this time: the slot is being moved to it.
    case ask(RedisConfiguration.Endpoint)
    /// To the same node, a little later: some keys have been moved, and others have not.
    case tryAgain
    /// To whoever is responsible a little later: the node cannot be reached or does not serve now.
    case later

    /// - Parameters:
    ///   - error: what the node answered.
    ///   - node: where it was sent.
    /// - Returns: `nil` if the command may have run, or cannot.
    init?(_ error: RedisError, from node: RedisConfiguration.Endpoint) {
        if error.code == .connectionFailed {
            self = .later
            return
        }
        if error.isOfMigration {
            self = .tryAgain
            return
        }
        switch error.serverCode {
        case "MOVED", "ASK":
            let words = error.message.split(separator: " ")
            guard words.count >= 3, let slot = Int(words[1]), (0..<KeySlot.count).contains(slot),
                let colon = words[2].lastIndex(of: ":"), let port = Int(words[2][colon...].dropFirst()),
                let target = SlotMap.endpoint(host: String(words[2][..<colon]), port: port, from: node)
            else { return nil }
            // The new node runs a script as soon as it has the keys that the script names: one that comes upon others must
            // name one that is never there.
            self = words[0] == "MOVED" ? .moved(slot: slot, target) : .ask(target)
        case "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY": self = .later
        default: return nil
        }
    }
}
