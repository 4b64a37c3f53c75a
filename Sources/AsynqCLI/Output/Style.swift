/// How text looks, in the sixteen colours that every terminal has and its user chose.
enum Style: Sendable, Hashable {
    case plain, bold, dim, red, green, yellow, blue, cyan, magenta

    /// The parameters of the escape sequence.
    var code: String {
        switch self {
        case .plain: "0"
        case .bold: "1"
        case .dim: "2"
        case .red: "31"
        case .green: "32"
        case .yellow: "33"
        case .blue: "34"
        case .cyan: "36"
        case .magenta: "35"
        }
    }

    func applied(to text: String) -> String {
        self == .plain || text.isEmpty ? text : "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }
}
