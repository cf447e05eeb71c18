# What can be done here. `make` alone says it.
.PHONY: help demo check test bench images deploy build generate traces lab down
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := x86_64-unknown-linux-gnu
BIN := target/$(TARGET)/release
IMAGE ?= localhost/connection-probe:dev
# Beside it, as the operator finds it by itself.
RDS_IMAGE ?= $(shell echo '$(IMAGE)' | sed 's/:[^:/]*$$/-rds&/')
# Static, for an image from scratch. Its own folder of target/, so it does not disturb other builds.
STATIC := RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --target $(TARGET)

help: ## This list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The main job on a bare machine: cluster, operator, one probe, its result (root; cold 15 min).
	@lab/demo

check: ## Format, lints, pure tests, generated files in step (no root; a minute when warm).
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked

test: ## Everything: check, real PostgreSQL and poolers, a real cluster (root; cold 50 min).
	@lab/test

bench: ## Figures, printed and written to target/bench/ (root). AREA=drop, hold, observe, plan, rds, operator or diagnosis: one alone.
	@lab/bench $(AREA)

# Apart, or the probe would be built with what AWS's SDK asks of the libraries that both use.
build: ## The release binaries, static.
	$(STATIC) -p operator -p probe -p cli
	$(STATIC) -p rds

images: build ## The images. IMAGE=registry/name:tag PUSH=1 pushes it to your registry; else it goes into the lab.
	PUSH=$(PUSH) lab/image $(IMAGE) $(BIN)/connection-probe-operator $(BIN)/connection-probe
	PUSH=$(PUSH) CONTAINERFILE=rds/Containerfile lab/image $(RDS_IMAGE) $(BIN)/connection-probe-rds /etc/ssl/certs/ca-certificates.crt

deploy: ## The manifests, CRDs included, with IMAGE=…, on standard output: make -s deploy IMAGE=… | kubectl apply -f -
	@sed 's|localhost/connection-probe:dev|$(IMAGE)|g' deploy/install.yaml

generate: ## Writes generated files anew: CRDs, the pages of fields and metrics, snapshots, the manifests of deploy/.
	GENERATE=1 INSTA_UPDATE=always $(CARGO) test --locked -p api --quiet
	charts/render

traces: ## Records anew what psycopg and Django send, from PyPI's packages against a PostgreSQL on loopback.
	GENERATE=1 $(CARGO) test --locked -p lab --test traces what_was_recorded

lab: ## Builds what is missing and starts the lab: Kubernetes, PostgreSQL, PgBouncer (root).
	@lab/preflight
	@lab/build
	@lab/up

down: ## Takes the lab down, with everything it left.
	@lab/down
