import Asynq
import Testing

struct ClientTests {
    private let refused = AsynqError(.duplicateTask, "there is one")

    @Test func `the results of a batch are in the order of its tasks, whoever refuses some`() async throws {
        let refused = refused
        let broker = NoBroker(store: { requests in
            requests.map { request in
                request.message.type == "b"
                    ? .failure(refused) : .success(EnqueueReceipt(state: .pending, nextProcessAt: nil))
            }
        })
        let types = ["", "a", " ", "b", "c", "", "d", "b", ""]
        let results = await AsynqClient(broker).enqueue(batch: types.map { AsynqTask($0) })
        let outcomes = results.map { result in
            switch result {
            case .success(let info): info.type
            case .failure(let error): "\(error.code)"
            }
        }
        #expect(
            outcomes == [
                "invalidArgument", "a", "invalidArgument", "duplicateTask", "c", "invalidArgument", "d",
                "duplicateTask", "invalidArgument",
            ]
        )
    }

    @Test func `a batch of nothing asks the broker for nothing`() async {
        let broker = NoBroker(store: { _ in fatalError("was asked") })
        #expect(await AsynqClient(broker).enqueue(batch: []).isEmpty)
        #expect(await AsynqClient(broker).enqueue(batch: [AsynqTask("")]).count == 1)
    }

    @Test func `a task that the broker does not answer for has failed`() async throws {
        let results = await AsynqClient(NoBroker()).enqueue(batch: [AsynqTask("t"), AsynqTask("t")])
        #expect(results.count == 2)
        for result in results {
            #expect(throws: AsynqError.self) { try result.get() }
        }
        await #expect(throws: AsynqError.self) { try await AsynqClient(NoBroker()).enqueue(AsynqTask("t")) }
    }
}
