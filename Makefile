# `make` alone lists the targets. Everything is driven from here; scripts/ holds what is longer than a line.
.DEFAULT_GOAL := help
SHELL := bash
BINARY := target/release/links
UP ?=
ENGINES ?=
# What runs a second time, on other engines than Postgres.
TEST_ENGINES := redis,nats,etcd
TESTS_OF_ENGINES := package(links) & test(/a_flag_flips|a_setting_changes|the_leader_dies|a_link_lives|an_app_node_killed|every_process_that_dies/)
# What may run on them at all: the rest has engines of its own, or no system.
TESTS_ON_ENGINES := package(links) & binary(system) - test(/^(cli|etcd|nats|redis)::|the_balancer_serves_on/)
# Some tests mostly wait, so one more runs at once than there are cores.
TESTS_AT_ONCE := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
MINUTES ?= 10
SEED ?= $(shell date +%s)
# Of each simulated protocol, from SEED on.
SCHEDULES ?= 5000
# Seconds for which a component hangs while `make failures` watches.
HOLD ?= 10

.PHONY: help up test check bench soak failures clean-state install

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## bring what the machine lacks: a C compiler, Postgres, the servers of ENGINES; says what it does
	@scripts/install run $(ENGINES)

up: install ## build the example and run the whole system in the foreground; ENGINES=etcd, UP="--port 9000" passes options
	@cargo build --release --locked --package links $(if $(ENGINES),--features $(ENGINES))
	@$(BINARY) up --topology examples/links/Onefold.toml $(if $(ENGINES),--engines $(ENGINES)) $(UP)

test: ## every test, with real engines and real processes
	@scripts/install test
	@cargo nextest run --locked --workspace --all-features --no-fail-fast --test-threads $(TESTS_AT_ONCE)
	@ONEFOLD_TEST_ENGINES=$(TEST_ENGINES) cargo nextest run --locked --workspace --all-features -E '$(TESTS_OF_ENGINES)'
	@cargo test --locked --workspace --all-features --doc --quiet

check: ## format, lints, docs, licences
	@scripts/install check
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --all-features --no-deps --quiet
	@cargo deny --log-level error check bans licenses sources

bench: ## the benchmarks, each a ratio to a named peer in one interleaved run; writes bench/RESULTS.md
	@scripts/install bench
	@bench/run

soak: ## MINUTES=10 of faults drawn from a SEED under a load whose history is checked, then SCHEDULES of each simulated protocol, the page's memory, and the system's tests on all engines
	@scripts/install test
	@ONEFOLD_SEED=$(SEED) ONEFOLD_MINUTES=$(MINUTES) cargo nextest run --profile soak --locked --workspace --all-features --no-capture -E 'binary(histories) & test(/what_was_acknowledged/)'
	@ONEFOLD_SEED=$(SEED) ONEFOLD_SCHEDULES=$(SCHEDULES) cargo nextest run --profile soak --locked --workspace --all-features -E 'test(/simulation::/)'
	@scripts/browser crates/console/tests/browser/memory.mjs
	@ONEFOLD_TEST_ENGINES=$(TEST_ENGINES) cargo nextest run --profile soak --locked --workspace --all-features -E '$(TESTS_ON_ENGINES)'

failures: ## what each component costs clients when it dies or hangs, as measured; writes docs/failures.md
	@scripts/install test
	@for engines in "" $(TEST_ENGINES); do ONEFOLD_TEST_ENGINES=$$engines ONEFOLD_HOLD=$(HOLD) ONEFOLD_PAGE=$(CURDIR)/docs/failures.md \
		cargo nextest run --profile soak --locked --workspace --all-features --no-capture -E 'binary(histories) & test(/what_befalls/)' || exit; done

clean-state: ## stop a detached system and remove its state
	@if [ -x $(BINARY) ]; then $(BINARY) down --remove-state; else rm -rf .onefold; fi
