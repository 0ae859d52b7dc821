# make          prints this help
# make check    everything the gate checks; what the README calls "the tests"
.DEFAULT_GOAL := help
SHELL := bash
GO ?= go
FUZZTIME ?= 30s
FUZZJOBS ?= 6
PACKAGES := ./...
# Where the NATS servers of `make quick` keep their files, 15 MB, and reserve more: most tests wait for files and deadlines, not for the processor.
MEMORY = $(shell test "$$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $$4}')" -gt 4000000 && echo /dev/shm || echo $${TMPDIR:-/tmp})

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the four programs into bin/
	$(GO) build -o bin/ ./cmd/...

.PHONY: up
up: ## run everything on the embedded server, with the demo provider
	$(GO) run ./cmd/hawser up --demo

.PHONY: test
test: ## all tests, with the race detector
	$(GO) test -race -timeout 10m $(PACKAGES)
	cd e2e/fosite && $(GO) test -race -timeout 5m ./...

.PHONY: quick
quick: ## the tests of the packages, without the race detector, end-to-end tests and soak
	$(GO) test -short -parallel 6 -exec "env TMPDIR=$(MEMORY)" -timeout 5m $$($(GO) list ./... | grep -v /e2e)

.PHONY: lint
lint: ## formatting, vet, staticcheck, a tidy go.mod
	@unformatted="$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go'))"; \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w mends it):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(PACKAGES)
	$(GO) tool staticcheck $(PACKAGES)
	$(GO) mod tidy -diff
	cd e2e/fosite && $(GO) vet ./... && $(GO) mod tidy -diff

.PHONY: check
check: lint test ## lint and test

.PHONY: bench
bench: ## the benchmark table: Hawser against a floor measured in the same run
	$(GO) test -run '^$$' -bench . -benchtime 3s -count 1 -timeout 30m ./pkg/app/ ./internal/oauth/ ./pkg/connectors/manifest/

.PHONY: soak
soak: ## the refresh races, 200 rounds each with the race detector (20 of the one that waits for leases)
	HAWSER_SOAK_ROUNDS=200 $(GO) test -race -run OneRefresh -count 1 -timeout 30m ./internal/oauth/

.PHONY: vendors
vendors: ## ask the providers' own libraries about the webhook vectors (npm, Node.js 20)
	cd pkg/connectors/catalog/testdata/vendors && npm ci --ignore-scripts --no-audit --no-fund && npm test && $(GO) test .

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s), FUZZJOBS (6) at a time
	@FUZZTIME=$(FUZZTIME) FUZZJOBS=$(FUZZJOBS) GO=$(GO) .ci/fuzz
