# make help lists the targets. Everything a target needs it builds or installs.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:
.DEFAULT_GOAL := help

# What the benchmarks measure, and with what make bench-cmp compares.
BENCH ?= .
COUNT ?= 6
PACKAGES ?= ./...
REF ?= HEAD
# How often the programs of make bench take turns.
ROUNDS ?= 5
# How long each fuzz target runs.
FUZZTIME ?= 10s
# How often each scenario of make survive runs, how many maps make chaos starts, and for how long make soak does.
RUNS ?= 10
SOAK ?= 10m
# How many steps make model takes; a hundred million are some minutes.
STEPS ?= 100000000

GO ?= go
# Each test package ends long before, on a busy machine, too: the longest takes three
# minutes on two quiet cores. A hang must not take the night.
# Vet runs with the linters, on every build: no need for it with every package's tests.
TEST := $(GO) test -timeout 20m -vet=off
# The race detector is left out of the parts of wazero that decode and compile, which would take
# many times as long. Those have no goroutines and no atomics, nor a generic type of sync's or
# atomic's: of a copy of its methods that the detector does not see, the linker might give
# everybody this one, and the detector would report races that are none.
WAZERO := github.com/tetratelabs/wazero/internal
RACE_FREE := leb128 wasm/binary engine/wazevo/frontend engine/wazevo/ssa/... engine/wazevo/backend/...
RACE := -race $(foreach part,$(RACE_FREE),-gcflags=$(WAZERO)/$(part)=-race=false)
# A process with the race detector sleeps for a second before it ends, and tests start many.
RACE_ENDS := GORACE=atexit_sleep_ms=10
LINT := bin/tools/golangci-lint
BENCHSTAT := bin/tools/benchstat
# The tests of the page in a browser, a module of their own.
BROWSER := monitor/browsertest
# A Lua that tests run scripts with, likewise.
LUA := internal/scripttest/lua
# The packages with code or tests that only a build with -tags mpi has.
MPI_PACKAGES = $(shell grep -rl --include='*.go' '^//go:build mpi' . | xargs -n1 dirname | sort -u)
# Those that have code for the build without it.
PLAIN_PACKAGES = $(shell grep -rl --include='*.go' '^//go:build.*!mpi' . | xargs -n1 dirname | sort -u)
# The files of tests that do less, or allow more, with the race detector.
RACE_TESTS = $(shell grep -rlE --include='*_test.go' 'unittest\.Race|raceFactor' . | grep -v '^./cmd/')

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/wasmpool: local slots, no MPI, no cgo
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/wasmpool ./cmd/wasmpool

.PHONY: mpi
mpi: ## Build bin/wasmpool-mpi, for mpirun and srun (make deps installs Open MPI)
	@scripts/deps mpi
	CGO_ENABLED=1 $(GO) build -trimpath -tags mpi -o bin/wasmpool-mpi ./cmd/wasmpool

.PHONY: mpich
mpich: ## Build bin/wasmpool-mpich, for MPICH's mpiexec
	scripts/mpich $(GO) build -trimpath -tags mpi -o bin/wasmpool-mpich ./cmd/wasmpool

.PHONY: demo
demo: build ## Draw a Julia set, count words, show that as a page, measure (needs Go and make only)
	@scripts/demo

.PHONY: deps
deps: ## Install Open MPI, pkg-config, gcc, clang, wabt, npm and Chromium, if missing (apt-get), and fetch interpreters (npm)
	@scripts/deps
	@scripts/interpreters

##@ Develop

.PHONY: test
test: deps lint test-unit test-nocgo test-mpi test-browser test-examples ## Run all tests, the MPI ones at 1, 2 and 4 ranks
	@printf '\n==== All tests passed.\n'

.PHONY: check
check: format tidy vet-systems test ## Format, tidy, vet for all systems, test, and fail if that changed a file
	git diff --exit-code

.PHONY: vet
vet: deps ## Run go vet on every build: plain, mpi, guests
	@printf '\n==== vet\n'
	$(GO) vet ./...
	$(GO) vet -tags mpi ./...
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./sdk/...

.PHONY: vet-systems
vet-systems: ## Run go vet as on the other systems, where there are no ranks
	@printf '\n==== vet for other systems\n'
	CGO_ENABLED=0 GOOS=darwin $(GO) vet ./...
	CGO_ENABLED=0 GOOS=windows $(GO) vet ./...

.PHONY: lint
lint: deps $(LINT) ## Run the linters of .golangci.yml, go vet's checks among them, on every build
	@printf '\n==== lint\n'
	$(LINT) run --build-tags mpi ./...
	$(LINT) run $(PLAIN_PACKAGES)
	GOOS=wasip1 GOARCH=wasm $(LINT) run ./sdk/...
	cd $(BROWSER) && $(CURDIR)/$(LINT) run --build-tags mpi ./...

.PHONY: format
format: $(LINT) ## Format all code
	$(LINT) fmt ./... $(BROWSER)/...

.PHONY: tidy
tidy: ## Tidy all go.mod
	$(GO) mod tidy
	$(GO) -C tools mod tidy
	$(GO) -C $(BROWSER) mod tidy
	$(GO) -C $(LUA) mod tidy

# Many of them wait for processes: four run at a time in each of three packages.
.PHONY: test-unit
test-unit: ## Run the tests that need no MPI, with the race detector
	@printf '\n==== unit tests with the race detector\n'
	CGO_ENABLED=1 $(RACE_ENDS) $(TEST) -p 3 -parallel 4 $(RACE) ./...

# This build is what people get, and what has its own size and speed.
.PHONY: test-nocgo
test-nocgo: ## Run the tests of the command, and those that look at the race detector, without it and cgo, and the model
	@printf '\n==== tests of the build without cgo, and the model of the contract, ten million steps\n'
	tests=$$(scripts/tests $(RACE_TESTS)); export CGO_ENABLED=0; scripts/at-once \
		"$(TEST) -short -parallel 4 ./cmd/wasmpool" \
		"WASMPOOL_TEST_STEPS=10000000 $(TEST) -count 1 -run '^TestModel\$$' ./executor" \
		"$(TEST) -short -p 1 -run '$$tests' $(sort $(dir $(RACE_TESTS)))"

# Of the packages' tests those that only the build with MPI has, as the others ran twice, and
# that build's command alone.
.PHONY: test-mpi
test-mpi: deps ## Run the MPI tests, at 1, 2 and 4 ranks
	@printf '\n==== MPI tests at 1, 2 and 4 ranks\n'
	tests=$$(scripts/tagged mpi)'|^TestScripts$$/^(run|version)$$'; \
	scripts/mpi-test $(TEST) -short -tags mpi -count 1 -p 3 -run "$$tests" $(filter-out ./examples/%,$(MPI_PACKAGES))
	@printf '\n==== contract tests with MPICH\n'
	scripts/mpi-test scripts/mpich $(TEST) -short -tags mpi -count 1 -p 2 -run '^TestRanks$$/ranks=[24]' ./executor ./pool

.PHONY: test-browser
test-browser: deps ## Drive the page of a job in Chromium; pictures are left in out/browser
	@printf '\n==== the page in a browser\n'
	CGO_ENABLED=1 $(GO) -C $(BROWSER) test -timeout 10m -vet=off -tags mpi -count 1 ./...

.PHONY: picture
picture: deps ## Make the README's picture of the page again, docs/page.png (some two minutes)
	CGO_ENABLED=1 WASMPOOL_PICTURE=$(CURDIR)/docs/page.png $(GO) -C $(BROWSER) test -timeout 10m -tags mpi -count 1 -run '^TestJob$$' ./...

.PHONY: test-examples
test-examples: deps ## Run the examples, alone and under mpirun
	@printf '\n==== examples, alone and under mpirun\n'
	CGO_ENABLED=0 $(TEST) -count 1 ./examples/...
	tests=$$(scripts/tagged mpi); \
	scripts/mpi-test $(TEST) -tags mpi -count 1 -p 1 -run "$$tests" $(filter ./examples/%,$(MPI_PACKAGES))

.PHONY: languages
languages: deps ## Fetch compilers for Rust, Zig and AssemblyScript (npm, apt-get), and test what init writes for them
	CGO_ENABLED=0 scripts/languages $(TEST) -count 1 -run '^TestLanguages$$' ./cmd/wasmpool

.PHONY: modules
modules: deps ## Fetch modules that nobody here wrote (npm, 250 MB), and run them, or see them refused as docs/limits.md says
	CGO_ENABLED=0 scripts/modules $(TEST) -count 1 -timeout 30m -run '^TestModules$$' ./cmd/wasmpool

.PHONY: fuzz
fuzz: ## Fuzz each target, and compare engines, for FUZZTIME=10s each
	scripts/fuzz $(FUZZTIME)

.PHONY: hostile
hostile: deps ## Attack a pool, in one process and on 4 ranks: each kind alone, then 1,000 calls among 100,000 good ones
	$(GO) build -o bin/hostile ./stress/hostile
	bin/hostile
	bin/hostile -inputs
	CGO_ENABLED=1 $(GO) build -tags mpi -o bin/hostile-mpi ./stress/hostile
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n 4 --oversubscribe --bind-to none bin/hostile-mpi
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n 4 --oversubscribe --bind-to none bin/hostile-mpi -inputs

.PHONY: survive
survive: deps build ## Kill workers and roots, stop them, cut hosts off, RUNS=10 times each, with shared inputs and a memo, too
	CGO_ENABLED=1 $(GO) build -tags mpi -o bin/survive-mpi ./stress/survive
	scripts/survive $(RUNS)

.PHONY: chaos
chaos: deps ## Kill maps that go on, edit their inputs, fill their disks: RUNS=10 in one process, on a small disk, and on ranks each
	CGO_ENABLED=1 WASMPOOL_TEST_CHAOS=$(RUNS) $(GO) test -tags mpi -count 1 -timeout 0 -run '^TestChaos' -v ./cmd/wasmpool | grep -v '^=== '

.PHONY: soak
soak: ## Run random loads under random faults, with the race detector, for SOAK=10m
	CGO_ENABLED=1 WASMPOOL_SOAK=$(SOAK) $(GO) test $(RACE) -count 1 -timeout 0 -run '^TestSoak$$' -v ./executor | grep -v -e '^=== ' -e '^    --- PASS'

.PHONY: model
model: ## Run random programs against the reference of the contract, for STEPS=100000000
	CGO_ENABLED=0 WASMPOOL_TEST_STEPS=$(STEPS) $(GO) test -count 1 -timeout 0 -run '^TestModel$$' -v ./executor | grep -v '^=== '

.PHONY: bench
bench: ## Measure this pool beside raw MPI, futexes and pools of Python, ROUNDS=5 times in turn; bench/results keeps it
	@scripts/deps bench
	$(GO) run ./bench/compare -rounds $(ROUNDS) -results bench/results

.PHONY: bench-shared
bench-shared: deps build ## Measure what 1 GiB of shared input costs, on one node and on three (two minutes)
	CGO_ENABLED=1 $(GO) build -tags mpi -o bin/bench-shared-mpi ./bench/shared
	scripts/bench-shared

.PHONY: bench-parts
bench-parts: ## Run the parts' benchmarks (BENCH=pattern COUNT=6 PACKAGES=./...)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PACKAGES)

.PHONY: bench-cmp
bench-cmp: $(BENCHSTAT) ## Compare the benchmarks with those of REF=main
	BENCH='$(BENCH)' COUNT=$(COUNT) PACKAGES='$(PACKAGES)' scripts/bench-cmp $(REF) $(CURDIR)/$(BENCHSTAT)

.PHONY: clean
clean: ## Remove what make has built
	rm -rf bin out

# The tools' versions are pinned in a module of their own, so that programs that
# use wasmpool do not inherit them.
$(LINT): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BENCHSTAT): tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../$@ golang.org/x/perf/cmd/benchstat
