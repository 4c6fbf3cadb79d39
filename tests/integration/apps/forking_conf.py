"""Tells in which process a worker's end was."""

import os


def worker_exit(server, worker):
    with open(os.environ["PROBE_DIR"] + "/worker-exits", "a") as file:
        file.write(f"{os.getpid()} {worker.pid}\n")
