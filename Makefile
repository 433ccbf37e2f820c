# Everything here works with Go alone. Node, if it is there, runs the client suite
# too; a C compiler is needed for `make race` and `make check` only.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

TOOLS := go tool -modfile=tools/go.mod
soak: SECONDS = 1200
SECONDS ?= 60
MODE ?= kill
MILLION ?= 1000000
RESTARTS ?= 50
comma := ,

.DEFAULT_GOAL := help
.PHONY: help run build deb test race lint format check crash simulate simulate-teeth restarts isolation overload scale soak time bench bench-full bench-history bench-wheel

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# One set of build flags everywhere, the tests' included, so that a fresh machine
# compiles the dependencies once.
# exec, and no `go run`: a signal reaches the server, and its exit status is make's.
run: ## build and start `tidemill dev` on 127.0.0.1:8080 (ARGS="--port 8081 --data DIR")
	@CGO_ENABLED=0 go build -o bin/tidemill ./cmd/tidemill && exec bin/tidemill dev $(ARGS)

build: ## build bin/tidemill, one static file
	CGO_ENABLED=0 go build -o bin/tidemill ./cmd/tidemill

# nfpm has a module of its own: what it needs is nobody else's. VERSION begins with a digit,
# as Debian wants it.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//' | grep . || echo "0.0.0+g$$(git rev-parse --short=12 HEAD)")
deb: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
deb: export VERSION := $(VERSION)
deb: export ARCH = $(shell go env GOARCH)
deb: ## build dist/tidemill_VERSION_ARCH.deb and look at what it installs (VERSION=1.2.3)
	tools/deb/stage $(VERSION)
	go tool -modfile=tools/nfpm/go.mod nfpm package --config tools/deb/nfpm.yaml --packager deb --target dist/tidemill_$(VERSION)_$(ARCH).deb
	tools/deb/check dist/tidemill_$(VERSION)_$(ARCH).deb

# CI knows no cached results; -count=1 keeps a developer's run honest too, for the
# tests that drive the built binary.
test: ## all tests, among them kills of the real binary and the JavaScript client suite
	@command -v npm >/dev/null || echo "*** node and npm are not installed: the JavaScript client suite will not run ***"
	@began=$$(date +%s); CGO_ENABLED=0 go test -count=1 -timeout 6m ./...; echo "make test took $$(( $$(date +%s) - began )) s"

race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -count=1 -timeout 12m ./...

lint: ## vet, staticcheck and the format check
	go vet ./...
	go vet -tags teeth ./engine/...
	cd tools/wheelbench && go vet ./...
	$(TOOLS) staticcheck ./...
	$(TOOLS) staticcheck -tags teeth ./engine/...
	@bad=$$($(TOOLS) gofumpt -l .); [ -z "$$bad" ] || { echo "make format would change:"; echo "$$bad"; exit 1; }

format: ## rewrite the Go files in gofumpt's form
	$(TOOLS) gofumpt -w .

check: lint test race ## what CI runs, but for the README's commands and the long crash test

# power, eio, stall and teeth need root, loop devices, mkfs.ext4; eio and teeth strace.
# Where one is missing the mode is skipped and says so.
crash: ## do harm to the real binary: make crash MODE=kill,power,torn,bitflip,eio,stall,teeth|all SECONDS=600 [SEED=n] [ROUNDS=n ACKED=n] [KEEP=dir]
	TIDEMILL_CRASH_MODE=$(MODE) TIDEMILL_CRASH_SECONDS=$(SECONDS) TIDEMILL_CRASH_SEED=$(SEED) TIDEMILL_CRASH_ROUNDS=$(ROUNDS) \
		TIDEMILL_CRASH_ACKED=$(ACKED) TIDEMILL_CRASH_KEEP=$(abspath $(KEEP)) \
		CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run '^TestCrash$$' ./cmd/tidemill

# A seed takes less than a second: one that does not end is named by the reports and
# stopped two minutes after the time.
simulate: ## the simulation, seed after seed: make simulate SECONDS=600 [SEED=n]
	TIDEMILL_SIMULATE=$(SECONDS) TIDEMILL_SIM_SEED=$(SEED) CGO_ENABLED=0 \
		go test -count=1 -timeout $$(( $(SECONDS) + 120 ))s -v -run '^TestSimulate$$' ./engine

simulate-teeth: ## plant one bug after the other and have the simulation find each; takes a minute or two [PLANT=name]
	TIDEMILL_TEETH=1 TIDEMILL_PLANT=$(PLANT) CGO_ENABLED=0 go test -tags teeth -count=1 -timeout 15m -v -run '^TestSimulateTeeth$$' ./engine

restarts: ## restart the real binary under load, behind a socket that outlives it: make restarts [RESTARTS=50]
	TIDEMILL_RESTARTS=$(RESTARTS) CGO_ENABLED=0 go test -count=1 -timeout 30m -v -run '^TestRestarts$$' ./cmd/tidemill

isolation: build ## measure what dead, silent and slow destinations cost a healthy one, and what a backlog costs in memory; takes 6 minutes
	bin/tidemill bench isolation --rounds 3 --round 10s --retry-delay 10s
	TIDEMILL_BACKLOG=1 CGO_ENABLED=0 go test -count=1 -v -run '^TestBacklogMemory$$' ./cmd/tidemill

scale: ## restart, memory and disk with millions of messages; takes 20 minutes and 10 GB (make scale MILLION=50000: a small one)
	TIDEMILL_SCALE=$(MILLION) CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run '^TestScale' ./cmd/tidemill

overload: build ## offer twice and ten times what the server delivers: with the processor as the bound, and with attempts as the bound; takes 20 minutes
	bin/tidemill bench overload --factor 2 --round 1m --peak 10s
	bin/tidemill bench overload --answer 50ms --round 1m --peak 10s -- --delivery.parallelism 50

soak: ## a mixed load with restarts and kills: memory, descriptors, goroutines, nothing lost: make soak [SECONDS=1200]
	TIDEMILL_SOAK=$(SECONDS) CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./cmd/tidemill

time: build ## an idle server, a million messages due at once, 100,000 schedules, and lateness at 100 and 2,000 a second; takes 20 minutes and 3 GB (make time MILLION=50000: a small one)
	TIDEMILL_SCALE=$(MILLION) CGO_ENABLED=0 go test -count=1 -timeout 0 -v -run '^TestTime' ./cmd/tidemill
	bin/tidemill bench delayed --round 1m

# A line of the two targets below: the scenario with its flags, and what its report is called.
# The files of the last run go first, so that no two runs are taken for one.
BENCH := dist/bench
bench-one = bin/tidemill bench $(1) --json $(BENCH)/$(2).json $(if $(BASELINE),--machine $(BASELINE))
bench-begin = @[[ "$(BASELINE)" =~ ^[A-Za-z0-9][A-Za-z0-9.-]*$$|^$$ ]] || { echo "BASELINE names a machine with letters, digits, dots and dashes"; exit 1; }; rm -rf $(BENCH) && mkdir -p $(BENCH)
define bench-end
bin/tidemill bench report $(BENCH) --html $(BENCH)/index.html --svg $(BENCH)/ratios.svg
@echo "The reports are in $(BENCH): open $(BENCH)/index.html"
$(if $(BASELINE),@mkdir -p bench/baselines/$(BASELINE) && cp $(BENCH)/*.json bench/baselines/$(BASELINE) && echo "They are kept in bench/baselines/$(BASELINE) too")
endef

bench: build ## the ratios of the product to what bounds it, in dist/bench; takes six minutes (BASELINE=machine: keep them in bench/baselines)
	$(bench-begin)
	$(call bench-one,publish --rounds 7 --settle 45s --runtime,publish)
	$(call bench-one,single,single)
	$(call bench-one,batch,batch)
	$(call bench-one,deliver --rounds 7 --settle 45s --runtime,deliver)
	$(call bench-one,delayed,delayed)
	$(call bench-one,delayed --rate 100 --background half,delayed-half)
	$(bench-end)

# One scenario that fails, or goes on for BENCH_MOST, does not end the others: at the end they are named, and
# make fails.
BENCH_MOST ?= 15m
bench-try = @echo "$(call bench-one,$(1),$(2))"; timeout --foreground -k 30 $(BENCH_MOST) $(call bench-one,$(1),$(2)) || echo "$(2): status $$?" >> $(BENCH)/failed
define bench-failed
@[ ! -e $(BENCH)/failed ] || { echo; echo "These have failed (124: it took more than $(BENCH_MOST)):"; cat $(BENCH)/failed; exit 1; }
endef

bench-full: build ## all scenarios, with a million messages; takes an hour, and goes on after one that fails (BASELINE=machine: as with bench; MILLION=100000: a smaller one)
	$(bench-begin)
	$(call bench-try,ceilings,ceilings)
	$(call bench-try,publish --concurrency 1$(comma)16$(comma)64$(comma)256 --rounds 9 --settle 45s --runtime --ceilings,publish)
	$(call bench-try,publish --rate half,publish-half)
	$(call bench-try,single --rounds 9,single)
	$(call bench-try,batch --rounds 9,batch)
	$(call bench-try,deliver --concurrency 64$(comma)256 --rounds 9 --settle 45s --runtime --ceilings,deliver)
	$(call bench-try,deliver --rate 100 --rounds 5 --round 10s,deliver-idle)
	$(call bench-try,deliver --rate half,deliver-half)
	$(call bench-try,deliver --later 0.5 --rounds 5 --round 10s --settle 45s,deliver-later)
	$(call bench-try,pull --rounds 9,pull)
	$(call bench-try,delayed --rounds 5,delayed)
	$(call bench-try,delayed --rate 100 --rounds 5 --background half,delayed-half)
	$(call bench-try,herd --messages $(MILLION) --rounds 5,herd)
	$(call bench-try,retries,retries)
	$(call bench-try,cron,cron)
	$(call bench-try,isolation --rounds 3 --round 10s --retry-delay 10s,isolation)
	$(call bench-try,overload --factor 2 --round 1m --peak 10s,overload)
	$(call bench-try,queues,queues)
	$(call bench-try,flow,flow)
	$(call bench-try,fanout,fanout)
	$(call bench-try,hostile --rounds 5,hostile)
	$(call bench-try,fair --answer 10ms --rounds 5,fair)
	$(call bench-try,backlog --pending 1000$(comma)$(MILLION) --drain,backlog)
	$(call bench-try,restart --pending 1000$(comma)$(MILLION) --rounds 5,restart)
	$(call bench-try,soak --round 2m,soak)
	$(call bench-try,peers,peers)
	@sed -i '/^peers: status 66$$/d' $(BENCH)/failed 2>/dev/null && [ -s $(BENCH)/failed ] || rm -f $(BENCH)/failed # 66: none is installed
	-$(bench-end)
	$(bench-failed)

# The difference of the two, over the processor time of a message in bench deliver, is row 21's share.
bench-history: ## what history costs a delivered message, with it and without, in turns; takes 2 minutes (row 21)
	go test ./engine -run '^$$' -bench HistoryCost -benchtime 200000x -count 5

bench-wheel: ## the timing wheel beside container/heap, RussellLuo/timingwheel and Go's timers, 1 k to 10 M timers; takes 3 minutes and 4 GB
	go test -run '^$$' -bench . ./timerwheel
	cd tools/wheelbench && go test -run '^$$' -bench . -timeout 0 .
