# Targets. Go is all that `run` and `test` need.
export CGO_ENABLED ?= 0
GO ?= go
BIN := bin/millrace
VERSION := $(shell git describe --tags --match 'v*' 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X main.release=$(VERSION))

.PHONY: help build run test test-real test-several ledger soak fuzz race lint check generate sbom vulnerabilities bench fmt up down

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

build: ## build bin/millrace
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/millrace

run: build ## run pipelines.yaml on the embedded broker
	@exec $(BIN) run

test: ## every test that needs nothing but Go
	$(GO) test -parallel 4 ./...

test-real: build ## the tests on real components: Kafka (Java 17, Maven), redis-server, kcat, Node.js, Graphviz
	$(GO) run ./cmd/testbed fetch
	$(GO) test -count=1 -tags real -run 'Real' -skip '$(SEVERAL)' -p 2 -parallel 4 -timeout 15m ./...

# The long ones: several replicas, or several brokers, of which some are killed.
SEVERAL := RealReplica|RealLedger|RealBrokerKilled|RealThreeNodes|RealClaimsOf|RealRedisAway|RealNodesComeAndGo

test-several: build ## several replicas and brokers on real components
	$(GO) run ./cmd/testbed fetch
	$(GO) test -count=1 -tags real -run '$(SEVERAL)' -p 1 -timeout 15m ./cmd ./pipeline/kafka ./pipeline/testbed

LEDGER_TIME ?= 10m
ledger: ## the ledger of records under faults, longer (LEDGER_TIME=… LEDGER_SEED=…)
	$(GO) run ./cmd/testbed fetch
	LEDGER_TIME=$(LEDGER_TIME) LEDGER_SEED=$(or $(LEDGER_SEED),$(shell date +%s)) \
		$(GO) test -count=1 -tags real -run 'RealReplicaLedger|RealLedgerOfOneProcess' -timeout 3h -v ./cmd

SOAK_TIME ?= 10m
soak: ## all hostile inputs at once beside good records, longer (SOAK_TIME=… SOAK_ATTACKS=…); needs Linux
	SOAK_TIME=$(SOAK_TIME) $(GO) test -count=1 -tags real -run RealSoak -timeout 3h -v ./cmd

up: ## start Kafka and Redis on 127.0.0.1:19092 and :16379
	@$(GO) run ./cmd/testbed up

down: ## end what `make up` started
	@$(GO) run ./cmd/testbed down

FUZZTIME ?= 30s
fuzz: ## every fuzz target for 30 s (FUZZTIME=…); stops at the first that fails
	@grep -rE '^func Fuzz[A-Za-z0-9]+\(' --include='*_test.go' cmd handlers pipeline \
		| sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9]+).*|\1 \2|' | sort \
		| while read -r dir name; do \
			$(GO) test "./$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s </dev/null || exit 1; \
		done

# What nothing runs beside: the language, and what is made of it. It is left out with the detector.
ALONE := cmd(/.*)?|examples|pipeline/(certificate|compile|config|decide|diag|expression|files|letters|outcome|oversize|plan|preview|secrets|shape|survey|topics|yamlconf)
# Of the commands one for each thing that a process does beside another.
RUNNING := ^Test(Flood|FloodDrained|OneNotificationPerOrder|Pause|Replay|Jobs|Redrive|Keys|DeadLetters|SecondTerminal|HangUpDrains|ReceiverIsDown|Skip.*|RunUntilEnd.*|Ingest.*)$$

# Without the detector: those that take long for what they do, not for what they share, and those that count what is allocated.
LONG := ^TestLedger$$|^TestMemoryUnderHostileClients$$|^TestReceiver(Limits|IsHalfDead)$$|^TestSomeRecordsAlwaysFail$$|^TestBadRecordsInARow$$|^TestShareOfBadRecords$$|^TestHostileFilesCostLittle$$|^TestDecodingIsCharged$$|^TestLoadIsBounded$$|^TestOwnSink$$|^TestNoProblemShowsASecret$$|^TestSlipsShowNoSecret$$

race: ## the tests under the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -timeout 20m -skip '$(LONG)' $$($(GO) list ./... | grep -vE '^[^/]*/[^/]*/[^/]*/($(ALONE))$$')
	CGO_ENABLED=1 $(GO) test -race -timeout 20m -skip '$(LONG)' -run '$(RUNNING)' ./cmd

sbom: ## bin/millrace.cdx.json: the bill of materials of the binary (CycloneDX)
	@mkdir -p bin
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 app -json -licenses -main cmd/millrace -output bin/millrace.cdx.json .

vulnerabilities: ## what is known against the code that the binary calls; needs vuln.go.dev, or VULNDB=URL
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.2.0 $(if $(VULNDB),-db $(VULNDB)) ./cmd/millrace

generate: ## rewrite what is generated
	$(GO) run ./cmd/docs
	$(GO) run ./cmd/bench -report docs/bench.json
	$(GO) -C examples/own-sink mod tidy

lint: ## staticcheck and deadcode, with the tests on real components; the first run takes minutes
	$(GO) tool staticcheck -tags real ./...
	@dead="$$($(GO) tool deadcode -test -tags real ./...)" || exit 1; test -z "$$dead" || { echo "$$dead"; exit 1; }

check: ## what CI runs: format, vet, lint, generated files, tests, race, real components
	@test -z "$$(gofmt -l cmd handlers pipeline examples)" || { gofmt -l cmd handlers pipeline examples; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags real ./...
	$(GO) run ./cmd/docs --check
	$(MAKE) lint sbom test race test-real test-several

bench: ## every job beside loops written by hand, on both brokers (BENCH='-only filter,keyed -records 300000'); Java 17, Maven, redis-server, npm
	$(GO) run ./cmd/bench $(BENCH)
