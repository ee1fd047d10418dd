# SPDX-License-Identifier: Apache-2.0
# The front door; meson and ninja do the work. Every target can be the first, and can be repeated, as root or with sudo.
BUILD = build
PREFIX = /usr/local
N = 200000
FUZZ_SECONDS = 60
MUTANTS =
BENCH =
COMMIT =

packages = tools/install-packages
configure = test -f $(1)/build.ninja || meson setup $(1) $(2)
comma = ,

.PHONY: all run test sanitize sanitize-address sanitize-thread fuzz mutants mutants-sample bench bench-peers neighbours lint format bare install clean
all:
	$(packages) build
	$(call configure,$(BUILD))
	ninja -C $(BUILD)

run:
	$(packages) run
	$(call configure,$(BUILD))
	ninja -C $(BUILD) src/cli/tide
	examples/story/run.sh $(BUILD)

test:
	$(packages) test
	$(call configure,$(BUILD))
	ninja -C $(BUILD)
	tools/run-tests $(BUILD)

sanitize: sanitize-address sanitize-thread
sanitize-address:
	$(packages) sanitize
	$(call configure,build-address,-Db_sanitize=address$(comma)undefined -Db_lundef=false)
	ninja -C build-address
	tools/run-tests build-address -t 6
sanitize-thread:
	$(packages) sanitize
	$(call configure,build-thread,-Db_sanitize=thread -Db_lundef=false)
	ninja -C build-thread
	tools/run-tests build-thread -t 10

fuzz:
	$(packages) fuzz
	tools/fuzz build-fuzz $(FUZZ_SECONDS)

mutants:
	$(packages) test
	tools/mutants -o build-mutants/table.md build-mutants $(MUTANTS)
mutants-sample:
	$(packages) test
	tools/mutants -f tests/mutants/sample build-mutants

bench:
	$(packages) bench
	$(call configure,build-bench,--buildtype=release -Db_ndebug=false)
	ninja -C build-bench
	build-bench/tests/bench/bench -n $(N) -d build-bench -t build-bench/src/cli/tide $(BENCH)
	build-bench/tests/bench/bench-postgres $(BENCH)
	build-bench/tests/bench/bench-projection -d build-bench $(BENCH)
	build-bench/tests/bench/bench-live -d build-bench $(BENCH)
	build-bench/tests/bench/bench-postgres-live $(BENCH)
	build-bench/tests/bench/bench-pages -d build-bench -n $(N) $(BENCH)
	build-bench/tests/bench/domain_bench -d build-bench
	build-bench/tests/bench/bench-latency -d build-bench $(BENCH)
	build-bench/tests/bench/bench-start -d build-bench -t build-bench/src/cli/tide $(BENCH)
	build-bench/tests/bench/bench-idle -d build-bench $(BENCH)
	tests/bench/instructions build-bench release

# Others on the same work, from the registry that npm uses here.
bench-peers:
	$(packages) peers
	$(call configure,build-bench,--buildtype=release -Db_ndebug=false)
	ninja -C build-bench tests/bench/bench-peers
	tests/bench/peers/install build-bench/peers
	build-bench/tests/bench/bench-peers -d build-bench -p build-bench/peers $(BENCH)

neighbours:
	$(packages) test
	$(call configure,$(BUILD))
	ninja -C $(BUILD) src/cli/tide tests/cli/with_postgres
	tools/neighbours $(BUILD) $(COMMIT)

lint:
	$(packages) lint
	tools/lint

format:
	$(packages) lint
	tools/format

bare:
	$(packages) bare
	tools/bare-debian

install:
	$(packages) build
	$(call configure,$(BUILD))
	meson configure $(BUILD) -Dprefix="$$(realpath -m -- "$(PREFIX)")" -Dlibdir=lib
	ninja -C $(BUILD)
	DESTDIR="$(DESTDIR)" meson install -C $(BUILD) --no-rebuild --quiet
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean:
	rm -rf $(BUILD) build-address build-thread build-fuzz build-mutants build-bench
