public import ArgumentParser
public import Asynq

extension TaskState: ExpressibleByArgument {}
