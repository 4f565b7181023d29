.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run build test check accuracy bench faults powercut fuzz race cover tag rules generate fmt lint deps peers profile soak

FUZZTIME ?= 30s
SOAK     ?= 10m
# A browser that is driven over HTTP may fail by its driver: what fails twice fails.
once_more = $(1) || { echo "once more:"; $(1); }
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Open the demo shop on 127.0.0.1:8080
	go run . demo

build: ## Build ./nearside as it is shipped
	CGO_ENABLED=0 go build -trimpath -pgo shipped.pgo -ldflags "-s -w -X main.version=$(VERSION)" -o nearside .

test: deps check ## Everything CI runs: deps, check and every test
	CI=true scripts/test.sh ./...
	$(call once_more,CI=true NEARSIDE_TEST_BROWSER=firefox go test -count=1 ./tag)
	$(call once_more,CI=true NEARSIDE_TEST_BROWSER=webkit go test -count=1 ./tag)

check: ## Format, vet, lint, types; built and generated files unchanged
	@scripts/check.sh

bench: peers ## Benchmarks: whole requests beside peers, then the parts
	cd bench/front && go run . bench $(FRONT)
	go test -run '^$$' -bench . -benchmem ./...
	cd bench && go test -run '^$$' -bench . -benchmem .

profile: ## Take shipped.pgo anew, by which build optimises, of a node under load
	cd bench/front && go run . bench -open 0 -turns 7 -only '^(decide|recorded|collect|pageview|by-key)/raw' -profile ../../shipped.pgo

soak: ## A node at four fifths of its limit for SOAK (10m), with bad input: memory, latency, what the log kept
	cd bench/front && go run . soak -for $(SOAK)

faults: ## What faults under load cost: sent, acknowledged, stored, duplicated, lost
	NEARSIDE_TEST_FAULTS=1 go test -v -count=1 -run '^TestFaults$$' .

powercut: ## Only the power cut of faults; takes root and a loop device
	NEARSIDE_TEST_FAULTS=1 go test -v -count=1 -run '^TestFaults$$/^power_cut' .

accuracy: ## How right devices, crawlers and languages are told, on others' corpora
	cd bench && go test -count=1 -v ./accuracy

fuzz: ## Every fuzz target for FUZZTIME (30s)
	@scripts/fuzz.sh $(FUZZTIME)

race: ## Every test under the race detector
	go test -race -count=1 ./...

cover: ## Coverage by function in cover.out
	go test -coverpkg=./... -coverprofile=cover.out ./...
	go tool cover -func=cover.out | tail -1

tag: ## Rebuild the browser tag, tag/dist
	go run ./tag/build

rules: ## Rebuild the guest modules from C, Rust and AssemblyScript
	go run ./wasm-rules/build

generate: ## Rebuild what is generated from Go tables and open data
	go generate ./...

fmt: ## Format the Go code
	gofmt -l -w $$(git ls-files --cached --others --exclude-standard '*.go')

lint: ## Only the linter
	go tool -modfile=tools.mod golangci-lint run

deps: ## Install what the tests need and is not here (apt-get)
	@scripts/deps.sh

peers: ## Install what bench measures beside and is not here (apt-get)
	@-scripts/deps.sh bench
