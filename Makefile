# Everything that is done with this project. `make help` lists it; .ci/check
# has the steps of the tests.

.DEFAULT_GOAL := help
.PHONY: help dev cluster new rename run build ui docs packages test test-go test-ts test-e2e test-browsers test-long test-crash test-cluster pauses figures attack fuzz chaos soak bench bench-peers bench-growth pgo plot picture pictures fmt lint vuln generate licenses clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/troupe-dev/troupe/backend/app.version=$(VERSION)

# Of make bench: how often, which, where.
COUNT := 1
BENCH := .
PKG   := ./backend/...

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Where make dev listens.
ADDR := localhost:8080

dev: node_modules/.package-lock.json docs ## serve on :8080, and rebuild what you save
	@go build -buildvcs=false -o bin/dev ./tool/dev && exec bin/dev -addr $(ADDR)

cluster: ui ## three nodes on this machine, and a proxy on :8080; keys kill and start them
	@$(MAKE) --no-print-directory build
	@go build -buildvcs=false -o bin/cluster ./tool/cluster && exec bin/cluster -addr $(ADDR)

new: ## add an actor, its test, a page and a menu entry: make new NAME=poll
	@go run -buildvcs=false ./tool/new "$(NAME)" && go generate ./backend/rooms

rename: ## make a clone your own project: make rename MODULE=example.com/me/app NAME=app
	@go run -buildvcs=false ./tool/rename "$(MODULE)" "$(NAME)"

run: ui ## install what npm needs, build the UI, serve on :8080
	go run -buildvcs=false -ldflags '$(LDFLAGS)' . -check

build: ui ## make bin/troupe, one static binary that needs nothing beside it
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '$(LDFLAGS)' -o bin/troupe .

ui: node_modules/.package-lock.json
	go generate ./backend/rooms
	npm run --silent typecheck
	go run ./web/cmd/build

docs: ## render the documentation, which the server has at /docs; make ui does it, too
	go run ./web/cmd/build docs

packages: node_modules/.package-lock.json ## make the npm packages: bin/troupe-client.tgz, bin/troupe-react.tgz
	npm run --silent packages

# What npm installed is as new as the lock file.
node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

test: ## run all tests and linters; installs what is missing
	@.ci/check go ts e2e

test-long: ## the long forms of tests: crowds, crashes, chaos, soak (minutes)
	@.ci/check long

test-go: ## the Go part: format, vet, staticcheck, generated files, tests with -race
	@.ci/check go

test-ts: ## the TypeScript part: types, lint, unit tests, sizes
	@.ci/check ts

test-e2e: ## the browser tests with the real binary: all in Chromium, some in Firefox
	@.ci/check e2e

test-browsers: ## all browser tests in all browsers that are found: Chromium, Firefox, WebKit
	@BROWSERS=all .ci/check e2e

test-crash: ## kill the real binary hundreds of times under load (minutes)
	go test -v -count=1 -timeout 60m ./backend/crashtest -crash.rounds=150 -crash.away=5s
	go test -v -count=1 -timeout 30m -run TestG12 ./backend/runtime -runtime.runs=300
	go test -v -count=1 -timeout 30m -run PowerLoss ./backend/store/sqlite -sqlite.losses=1000
	go test -v -count=1 -timeout 60m -run TestFaults ./backend/store/jetstream -jetstream.rounds=100

test-cluster: ## break three nodes and the network between them under load, again and again (minutes)
	go test -v -count=1 -timeout 120m -run Nodes ./backend/crashtest -crash.nodes=3 -crash.rounds=$(or $(ROUNDS),50) -crash.seed=$(or $(SEED),0)

pauses: ## measure for how long actors pause when a node of three leaves, dies, joins: make pauses ROUNDS=10 SEED=1 CROWD=100000 (minutes)
	go test -v -count=1 -timeout 120m -run Pauses ./backend/crashtest -crash.lease=3s -crash.pauses=$(or $(ROUNDS),10) -crash.seed=$(or $(SEED),0) -crash.pauses.crowd=$(or $(CROWD),0)

figures: ## measure three nodes beside one with SQLite: idle, calls, events (a minute)
	go test -v -count=1 -timeout 30m -run Figures ./backend/crashtest -crash.lease=3s -crash.figures

attack: ## attack the real binary from one address, and measure a bystander (minutes)
	go test -v -count=1 -timeout 60m ./backend/attack -attack.long

MINUTES := 10

fuzz: ## every fuzz target for a while, one after the other: make fuzz MINUTES=10
	@grep -rEo 'func Fuzz[A-Za-z]+' --include='*_test.go' backend | while IFS=: read -r file func; do \
		go test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(MINUTES)m "./$$(dirname "$$file")" || exit 1; \
	done

chaos: build ## break links and servers at random, and count what is lost: make chaos SECONDS=600 SEED=1
	@SECONDS_OF_CHAOS=$(or $(SECONDS),60) SEED=$(SEED) npx --no-install playwright test -c e2e --project chromium --reporter list chaos

soak: MINUTES := 30
soak: build ## clients come and go: check that memory and disk do not grow: make soak MINUTES=30
	@MINUTES=$(MINUTES) npx --no-install playwright test -c e2e --project chromium --reporter list soak

bench: ## benchmarks of the hot paths, as benchstat reads them: make bench COUNT=6 BENCH=Action PKG=./backend/runtime
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG)

bench-peers: ## measure Troupe beside other systems (minutes; see e2e/bench/README.md)
	e2e/bench/run.sh peers

bench-growth: ## measure how costs grow with connections, actors, state … (minutes)
	e2e/bench/run.sh growth

pgo: ## measure calls and fan-out on both stores, and write default.pgo, the profile for go build
	e2e/bench/run.sh pgo

plot: ## draw what they have measured, and write the figures into docs/benchmarks.md
	cd e2e/bench && go run . -plot

pictures: build ## take the icons, and the picture that is shown beside links to the page
	node e2e/pictures.mjs

picture: build ## take the moving picture of the README from the running page
	node e2e/picture.mjs

fmt: node_modules/.package-lock.json ## format the Go and TypeScript code
	gofmt -w *.go backend e2e examples tool web
	npm run --silent format

lint: ## the linters alone
	@.ci/check lint

vuln: ## look for known vulnerabilities of what is linked into the binary (asks vuln.go.dev)
	@.ci/check vuln

generate: ## regenerate the generated sources
	go generate ./...

licenses: node_modules/.package-lock.json ## regenerate web/licenses.txt from the dependencies
	go run ./tool/licenses

clean: ## remove what was built
	rm -rf bin clientjs/dist clientjs/LICENSE hooks/dist hooks/LICENSE e2e/test-results e2e/report
	find web/dist -mindepth 1 ! -name placeholder.html -delete
