# Two commands for a newcomer: `make demo` and `make test`.
# `make check` is for while you edit.
.PHONY: demo test check lint bench attacks instructions pictures

## demo: start a living server on embedded defaults, with something to look at
# On a terminal the demo has a process group of its own (`set -m`): Ctrl-C stops it, and make sees that it ended well
# instead of being interrupted itself.
demo:
	@if [ -t 0 ]; then set -m; fi; cargo run --release -- demo; exit $$?

## test: every test of the workspace; installs what the foreign clients need
test:
	cargo test --workspace --all-targets
	tests/clients/run

## lint: formatter and clippy, warnings denied
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

## check: formatter, linter and unit tests; for while you edit
check: lint
	cargo test --workspace --lib

## bench: the figures of design goals, measured on this machine
bench:
	cargo build --release --workspace --bins --examples
	npm ci --prefix loadtest/peers/ws || echo 'without Node 20 the fan-out is measured and compared with nothing'
	cargo run --release -p actors --example merge_bench
	cargo run --release -p loadtest -- run

## attacks: what others notice of attacks, and what these cost. SERVER=FILE attacks another binary
attacks:
	cargo build --release --workspace --bins
	target/release/loadtest run --scenario neighbours --scenario amplification --scenario bodies \
		--scenario existence $(if $(SERVER),--server $(SERVER))

## instructions: what one request costs in instructions, under valgrind. SERVER=FILE is compared with
instructions:
	cargo build --release --bin profile-server
	python3 loadtest/instructions/count.py $(SERVER) target/release/profile-server

## pictures: the pictures of the README, made anew from a real run. PROGRAM=FILE shows another binary
pictures:
	$(if $(PROGRAM),,cargo build --release --bin profile-server)
	python3 docs/pictures/make.py $(PROGRAM)
