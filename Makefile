# Start with `make demo` and `make test`. `make help` lists all targets.
.PHONY: demo help test test-gpu test-crash check lint bench compare ingest attacks fuzz pictures guard

## demo: starts a server with the default settings and generated citizens, and keeps posting events
# On a terminal the demo has a process group of its own (`set -m`): Ctrl-C stops the demo, and make sees its exit status instead
# of being interrupted itself.
demo:
	@if [ -t 0 ]; then set -m; fi; cargo run --release -- demo; exit $$?

## help: lists the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## test: runs every test of the workspace, then the CUDA compiler and the clients in Python and Node, whose packages it installs
test:
	cargo test --workspace --all-targets
	python3 -B -m unittest discover loadtest/guard
	tests/kernels/run
	tests/clients/run

## test-gpu: compares the kernels on the first GPU with the CPU; without a GPU it says so and does nothing
test-gpu:
	cargo test --release -p kernels --test device -- --device

## test-crash: kills a server 200 times while people are erased, and cuts the power at 2,000 moments of erasures; the tests have fewer
test-crash:
	CRASH_ROUNDS=200 cargo test --test crash erasures_and -- --nocapture
	STORE_TEST_ROUNDS=125 cargo test -p store --test powercut erasure -- --nocapture

## lint: runs the formatter and clippy; warnings are errors
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

## check: runs formatter, clippy and unit tests; for use while editing
check: lint
	cargo test --workspace --lib

## bench: measures the figures on this machine and prints each beside its goal
bench:
	cargo build --release --workspace --bins --examples
	npm ci --prefix loadtest/peers/ws || echo 'without Node 20 the fan-out is measured and compared with nothing'
	cargo run --release -p actors --example merge_bench
	cargo run --release -p loadtest -- run

## ingest: measures durable ingest for five minutes and draws its course in docs/pictures; SERVER=FILE measures another binary
ingest:
	cargo build --release --workspace --bins
	target/release/loadtest run --scenario ingest --json target/ingest.json $(if $(SERVER),--server $(SERVER))
	python3 docs/pictures/ingest.py target/ingest.json

## compare: compares counting the classes of an export with Polars and DuckDB, on the same million people
compare:
	tests/clients/install target/clients
	cargo build --release --example export_bench
	target/release/examples/export_bench 1000000 parquet target/people.parquet | tee target/export_bench.txt
	PYTHONPATH=target/clients/exports python3 loadtest/peers/exports/compare.py target/people.parquet $$(awk '/^classes/ {print $$6}' target/export_bench.txt)

## attacks: measures how attacks affect other clients and what they cost the server; SERVER=FILE attacks another binary
attacks:
	cargo build --release --workspace --bins
	target/release/loadtest run --scenario neighbours --scenario amplification --scenario bodies \
		--scenario existence $(if $(SERVER),--server $(SERVER))

## fuzz: lets a fuzzer that is driven by the description of the API call the server for five minutes
fuzz:
	tests/clients/fuzz

## guard: compares instructions, allocations and bytes of the hot paths with stored figures; UPDATE=1 renews them; SERVER=FILE compares with another binary
guard:
	@command -v valgrind >/dev/null || { echo 'make guard needs valgrind: apt-get install valgrind' >&2; exit 1; }
	cargo build --release --workspace --bin profile-server --example guard_instructions --example guard_memory
	python3 -B loadtest/guard/guard.py --programs $${CARGO_TARGET_DIR:-target}/release $(if $(UPDATE),--update) $(if $(SERVER),--server $(SERVER))

## pictures: makes the pictures of the README from a real run; PROGRAM=FILE shows another binary
pictures:
	$(if $(PROGRAM),,cargo build --release --bin profile-server)
	python3 docs/pictures/make.py $(PROGRAM)
