import Asynq
import AsyncHTTPClient
import Hummingbird

struct Dashboard {}
