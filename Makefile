# Everything a newcomer needs: `make demo` shows what this is, `make test` shows that it works.

SWIFT ?= swift
PEERS ?= 0
QUICK ?= 0

.PHONY: demo test test-threads bench examples lint fuzz-replay libraries

# A million sessions saved under load, two usual ways and with Caesura; writes demo/report.html.
demo: libraries
	$(SWIFT) build -c release --product caesura
	.build/release/caesura demo --directory demo

# Tests of what has time limits, on both sides of a connection, are a run of their own: beside those that compute for seconds, each
# step of a test may wait for a thread of the pool that all tests share.
TIMED = 'CaesuraNodeServiceTests|CaesuraTransportTests'

test: libraries
	$(SWIFT) test --filter $(TIMED)
	$(SWIFT) test --skip-build --skip $(TIMED)

# One table of measurements with ratios; PEERS=1 also installs and measures other systems, QUICK=1 only
# shows that it runs. What each number means: docs/BENCHMARKS.md.
bench:
	SWIFT="$(SWIFT)" PEERS=$(PEERS) QUICK=$(QUICK) Benchmarks/run

# The example's present version reads all that shipped, its schemas are those in the lock, its versions exchange
# checkpoints, and its nodes hand their sessions to each other under load.
examples: libraries
	$(SWIFT) test --package-path Examples/SessionService
	$(SWIFT) package --package-path Examples/SessionService schema check
	SWIFT="$(SWIFT)" Examples/SessionService/rolling-upgrade
	SWIFT="$(SWIFT)" Examples/SessionService/rolling-restart

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Plugins Sources Tests \
	    $(wildcard Benchmarks/Package.swift Benchmarks/Sources Fuzz/Package.swift Fuzz/Sources) \
	    $(foreach part,Package.swift Sources Earlier Tests,$(wildcard Examples/*/$(part)))

# Runs the fuzzers over their kept inputs, without searching for new ones.
fuzz-replay: libraries
	Fuzz/replay

libraries:
	@scripts/install-system-libraries

# The store's tests of threads under the thread sanitizer, which needs a build of its own.
test-threads: libraries
	$(SWIFT) test --sanitize=thread -Xswiftc -DCAESURA_THREAD_SANITIZER \
	    --scratch-path .build/thread-sanitizer \
	    --filter 'ConcurrencyTests|CutLifetimeTests|RemovalTests|LateDeclarationTests' \
	    --filter 'CheckpointTests|RestoreTests'
