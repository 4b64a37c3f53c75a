# The same order of tasks in every build, so that a switch between debug and release rebuilds nothing needlessly.
export SWIFT_DETERMINISTIC_HASHING := 1
# A warning in this package is an error here. Not for those who depend on it.
export ASYNQ_STRICT := 1

SOURCES := Sources Tests Examples Fuzzing Benchmarks/Sources Benchmarks/Package.swift Package.swift

.DEFAULT_GOAL := help
.PHONY: help setup build test install demo demo-redis examples fuzz fuzz-bytes chaos chaos-ci web-tests consumer lint format bench protobuf assets docs cli clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the build and the tests need: libsqlite3-dev, redis-server, openssl, tmux
	@scripts/setup.sh build tests

build: ## Build everything, tests too
	swift build --build-tests

# In several runs: all tests of one begin at once, and on two cores a thousand would wait for each other for too long.
test: setup ## Run all tests, against real servers that they start themselves
	swift build --build-tests
	swift test --skip-build --skip AsynqDashboardTests --skip AsynqRedisTests --skip AsynqSQLiteTests --skip IntegrationTests
	swift test --skip-build --filter AsynqSQLiteTests
	swift test --skip-build --filter AsynqRedisTests
	swift test --skip-build --filter IntegrationTests
	swift test --skip-build --filter AsynqDashboardTests

PREFIX ?= /usr/local
# With Swift's own libraries in the program: it starts faster, and runs where no Swift is.
STATIC := $(if $(filter Linux,$(shell uname)),--static-swift-stdlib)

install: ## Build asynq for release and install it, its manual page and its completions under PREFIX=/usr/local
	@scripts/setup.sh build
	env -u ASYNQ_STRICT swift build -c release $(STATIC) --product asynq
	@DESTDIR="$(DESTDIR)" scripts/install.sh "$$(env -u ASYNQ_STRICT swift build -c release $(STATIC) --show-bin-path)/asynq" "$(PREFIX)"

fuzz: setup ## Run random operations on all brokers, other ones each time
	ASYNQ_RANDOM_SEEDS=1 swift test --filter "behaves as the model does"

TOPOLOGY ?= standalone
MINUTES ?= 20
SEED ?= $(shell date +%s)

chaos: setup ## Kill, stop and cut off processes and servers for MINUTES=20 on TOPOLOGY=standalone (sentinel, cluster, sqlite), with SEED=
	swift build --product Chaos
	"$$(swift build --show-bin-path)/Chaos" --topology $(TOPOLOGY) --minutes $(MINUTES) --seed $(SEED)

chaos-ci: setup ## Some minutes of it on each topology, one after the other: as in CI
	swift build --product Chaos
	@scripts/chaos-ci.sh "$$(swift build --show-bin-path)/Chaos"

fuzz-bytes: ## Feed foreign bytes to what reads them, SECONDS=60 for each kind, two at a time
	@scripts/setup.sh build
	@scripts/fuzz-bytes.sh $(or $(SECONDS),60)

demo: ## Run the quickstart, on SQLite: nothing to install beyond what the build needs
	@scripts/setup.sh build
	swift build --product Quickstart
	@"$$(swift build --show-bin-path)/Quickstart"

demo-redis: setup ## Run the quickstart against a private Redis
	swift build --product Quickstart
	@scripts/with-redis.sh "$$(swift build --show-bin-path)/Quickstart"

examples: ## Run the examples of all features, on SQLite
	@scripts/setup.sh build
	@for example in Aggregation Scheduler Inspector Semaphore Outbox; do \
		echo "== $$example"; swift run --quiet $$example || exit 1; \
	done

web-tests: setup build ## Check the dashboard's front end, and test it in a headless Chromium
	@scripts/setup.sh web
	@scripts/check-web.sh
	@scripts/browser-tests.sh

consumer: ## Build and run a small package that depends on this one
	@scripts/setup.sh build
	@scripts/consumer.sh

lint: ## Check the format of the code
	swift format lint --strict --recursive $(SOURCES)

format: ## Bring the code into the project's format
	swift format --in-place --recursive $(SOURCES)

bench: setup ## Measure speed: release build, private Redis, medians of five
	Benchmarks/run.sh

protobuf: ## Generate the messages anew from asynq.proto
	@scripts/protobuf.sh

assets: ## Put the files of the web dashboard into the program anew
	@scripts/assets.sh

docs: ## Build the documentation; fails on a name, page or link that does not exist
	@scripts/setup.sh build
	@scripts/docs.sh

cli: ## Write docs/cli.md anew from the program
	swift build --product asynq
	"$$(swift build --show-bin-path)/asynq" manual --markdown > docs/cli.md

clean: ## Delete what was built
	rm -rf .build Benchmarks/.build
