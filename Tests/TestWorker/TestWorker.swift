@main
struct TestWorker {
    static func main() async throws {}
}
