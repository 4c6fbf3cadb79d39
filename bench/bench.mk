# The benchmark's targets, included by the root Makefile. Nothing here is part of `make test`:
# timing is never a test.
#
#   make bench                                  every case, every server, about ten minutes
#   make bench CASES=hello,flask SERVERS=bare,bjoern,monoceros
#   make bench BENCH_SECONDS=5 BENCH_ROUNDS=7   longer, steadier
#   make bench BENCH_PUBLISH=1                  also writes docs/bench.md, docs/bench.svg and .png
#   make bench-quiet                            hello, Flask and Django beside the nearest peers, in
#                                               slices of a quiet machine, loaded by http_load:
#                                               for differences of a few per cent; CASES, SERVERS
#   make bench-builds A=<before> B=<after>      two builds of ours, git revisions or folders, in pairs:
#                                               instructions, system calls, CPU, memory a case
#                                               (builds.py); CASES, BENCH_ROUNDS
#   make bench-workers                          threads, greenlets, ASGI and WebSocket (workers.py);
#                                               the same settings, BENCH_PUBLISH=1 writes
#                                               docs/bench-workers.md
#   make bench-lifecycle                        what clients see while servers stop, reload, recycle
#                                               and crash: docs/lifecycle.md, about ten minutes;
#                                               SCENARIOS=reload,bad SERVERS=uWSGI: only these
#   make bench-dispatch                         what waits in a busy worker beside an idle one:
#                                               the table of docs/dispatch.md, six minutes
#   make bench-memory, make bench-startup       PSS; time to the first answer
#   make measure-holding                        what a client can make a worker hold, by phase: the
#                                               table of docs/security.md, three minutes
#   make bench-render                           page and chart again, from the newest results
#
# BENCH_WHEEL=<wheel> measures that wheel; BENCH_KEEP=1 does not reinstall monoceros.

# The servers run on Debian's Python where there is one: linked statically, so that its pages are
# the environment's own copy and PSS is not shared with unrelated programs.
BENCH_PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
BENCH_RUN = python3 bench/run.py

export BENCH_PYTHON BENCH_SECONDS BENCH_ROUNDS BENCH_STARTS BENCH_PUBLISH BENCH_WHEEL BENCH_KEEP
export CASES SERVERS

.PHONY: bench bench-quiet bench-workers bench-memory bench-startup bench-render bench-setup
.PHONY: bench-workers-setup bench-lifecycle bench-lifecycle-setup bench-dispatch measure-holding
.PHONY: bench-builds

bench-setup:
	@python3 bench/setup_env.py

bench: bench-setup
	@$(BENCH_RUN) speed
	@$(BENCH_RUN) render

bench-quiet: bench-setup
	@$(BENCH_RUN) quiet

bench-builds: export BENCH_SUITE = builds

A ?= main
B ?= .

bench-builds:
	@python3 bench/setup_env.py
	@python3 bench/builds.py "$(A)" "$(B)"

bench-workers bench-workers-setup: export BENCH_SUITE = workers

bench-workers-setup:
	@python3 bench/setup_env.py

bench-workers: bench-workers-setup
	@$(BENCH_RUN) speed
	@$(BENCH_RUN) render

bench-lifecycle bench-lifecycle-setup bench-dispatch: export BENCH_SUITE = lifecycle

bench-lifecycle-setup:
	@python3 bench/setup_env.py

bench-lifecycle: bench-lifecycle-setup
	@python3 bench/lifecycle/run.py --scenarios "$(SCENARIOS)" --servers "$(SERVERS)"

# The same servers as bench-lifecycle's.
bench-dispatch: bench-lifecycle-setup
	@python3 bench/dispatch.py

bench-memory: bench-setup
	@$(BENCH_RUN) memory

bench-startup: bench-setup
	@$(BENCH_RUN) startup

measure-holding: setup
	@$(VENV)/bin/python bench/holding.py

bench-render:
	@$(BENCH_RUN) render
