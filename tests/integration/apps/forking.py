"""Applications that fork, in the ways that their path names. An answer ends with the worker's pid;
what a child does is told in files of PROBE_DIR."""

import ctypes
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

PLACE = os.environ["PROBE_DIR"]
MULTI = multiprocessing.get_context("fork")
OWN_HANDLER = []


def note(name, text=""):
    """A file that the test waits for, whole from the start."""
    with open(f"{PLACE}/{name}.part", "w") as file:
        file.write(str(text))
    os.rename(f"{PLACE}/{name}.part", f"{PLACE}/{name}")


def wait_for_file(name):
    end = time.monotonic() + 20
    while not os.path.exists(f"{PLACE}/{name}") and time.monotonic() < end:
        time.sleep(0.01)


def reaped(pid):
    """The exit code of a child, or minus its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def process(target, *args):
    child = MULTI.Process(target=target, args=args)
    child.start()
    return child


def crash(_):
    child = process(os.abort)
    child.join(10)
    return f"{child.exitcode}"


def exit_soon(_):
    if os.fork() == 0:
        time.sleep(0.2)
        note("came-back")
        print("the child's last words", end="")
        sys.exit(3)
    return "parent"


def return_soon(_):
    if os.fork() == 0:
        return "child"
    return "parent"


def raise_soon(_):
    if os.fork() == 0:
        raise RuntimeError("the child's own fault")
    return "parent"


def library_fork(_):
    """As a C extension forks: Python hears nothing of it."""
    if ctypes.PyDLL(None).fork() == 0:
        return "child"
    return "parent"


def library_abort(_):
    libc = ctypes.PyDLL(None)
    pid = libc.fork()
    if pid == 0:
        libc.abort()
    return f"{reaped(pid)}"


def loop_for_ever():
    while True:
        time.sleep(0.01)
        note("loops")


def leave_looping(_):
    note("child", process(loop_for_ever).pid)
    wait_for_file("loops")
    return "parent"


def lodger(_):
    """A child that lives on, by the plainest fork."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    note("child", pid)
    return "parent"


def terminate(_):
    child = process(time.sleep, 30)
    child.terminate()
    child.join(20)
    return f"{child.exitcode}"


def kill_each(_):
    codes = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGABRT):
        child = process(time.sleep, 30)
        os.kill(child.pid, number)
        child.join(20)
        codes.append(child.exitcode == -number)
    return f"{all(codes) or codes}"


def strike(number, step):
    """A child that meets the signal at this line of what the server does in it first: how it ended,
    minus the signal; 0: there are not so many lines."""
    parent, lines = os.getpid(), set()

    def trace(frame, event, _):
        line = frame.f_lineno
        ours = os.getpid() != parent and frame.f_code.co_filename.endswith("host/forked.py")
        if ours and event == "line" and line not in lines:
            lines.add(line)
            if len(lines) == step:
                os.kill(os.getpid(), number)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if len(lines) < step else 1)
    sys.settrace(before)
    return reaped(pid)


def strike_each(_):
    """A signal is never lost, whenever it comes."""
    for number in (signal.SIGTERM, signal.SIGABRT):
        step, end = 1, -number
        while end == -number:
            end = strike(number, step)
            step += 1
        if end or step < 10:
            return f"{number} at step {step - 1}: {end}"
    return "True"


def stand_ready():
    note("ready")
    time.sleep(30)


def own_handler(_):
    """A handler of the application's own means as much in its child."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(42))
    child = process(stand_ready)
    signal.signal(signal.SIGTERM, before)
    wait_for_file("ready")
    child.terminate()
    child.join(20)
    return f"{child.exitcode}"


def square(number):
    return number * number


def pool(_):
    with ProcessPoolExecutor(2, mp_context=MULTI) as executor:
        return f"{sum(executor.map(square, range(4)))}"


def spawn(_):
    out = subprocess.run(
        [sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=False, text=True
    )
    pid = os.posix_spawn("/bin/true", ["true"], {})
    held = subprocess.run(["sh", "-c", "true"], check=False, preexec_fn=lambda: None)
    return f"{out.stdout.strip()} {reaped(pid)} {held.returncode}"


def terminal(_):
    pid, master = pty.fork()
    if pid == 0:
        return "child"
    os.close(master)
    return "parent"


def daemon(_):
    """As daemonising libraries do: two forks, a session, no descriptor left."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork():
            sys.exit(0)
        os.closerange(3, 1024)
        note("daemon", os.getpid())
        wait_for_file("daemon-may-go")
        sys.exit(0)
    return f"{reaped(pid)}"


def thread(_):
    """A thread of the application forks."""
    codes = []

    def fork():
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        codes.append(reaped(pid))

    runner = threading.Thread(target=fork)
    runner.start()
    runner.join()
    return f"{codes[0]}"


def forks_in(start):
    """What the child does is all that it does; the parent has its exit code."""
    codes = []

    def fork(in_child):
        pid = os.fork()
        if pid == 0:
            return in_child()
        codes.append(reaped(pid))
        return None

    start(fork)
    return f"{codes[0]}"


def fault():
    raise RuntimeError("the child's own fault")


def thread_returns(_):
    def start(fork):
        runner = threading.Thread(target=fork, args=(lambda: None,))
        runner.start()
        runner.join()

    return forks_in(start)


def greenlet_returns(_):
    import gevent

    return forks_in(lambda fork: gevent.spawn(fork, lambda: None).join())


def greenlet_raises(_):
    import gevent

    return forks_in(lambda fork: gevent.spawn(fork, fault).join())


def greenlet_exits(_):
    import gevent

    return forks_in(lambda fork: gevent.spawn(fork, lambda: sys.exit(5)).join())


def log_a_line(errors):
    import logging

    logging.error("from the child")
    errors.write("from the child\n")


def logging_child(environ):
    """While other threads log, here and to wsgi.errors, a child logs."""
    import logging

    class Stream:  # io's own buffers have locks that nobody frees in a child
        def write(self, text):
            os.write(2, text.encode())

        def flush(self):
            pass

    logging.getLogger().addHandler(logging.StreamHandler(Stream()))
    errors = environ.get("wsgi.errors", sys.stderr)
    stop = threading.Event()

    def chatter():
        while not stop.is_set():
            for _ in range(10):
                logging.error("x")
                errors.write("y\n")
            time.sleep(0.001)

    chatterers = [threading.Thread(target=chatter) for _ in range(3)]
    for chatterer in chatterers:
        chatterer.start()
    codes = []
    for _ in range(10):
        child = process(log_a_line, errors)
        child.join(10)
        codes.append(child.exitcode)
    stop.set()
    for chatterer in chatterers:
        chatterer.join()
    return f"{set(codes)}"


def beats(_):
    """The other requests do not go on in a child that gives its time away."""
    pid = os.fork()
    if pid == 0:
        time.sleep(1.0)  # cooperates, where that is how sleep() works
        note("child-slept")
        os._exit(0)
    return "parent"


def slow(_):
    time.sleep(0.5)
    with open(f"{PLACE}/slow-ended", "a") as file:
        file.write(f"{os.getpid()}\n")
    return "slow"


def late(_):
    time.sleep(30)
    return "late"


WAYS = {
    f"/{way.__name__.replace('_', '-')}": way
    for way in (
        crash, exit_soon, return_soon, raise_soon, library_fork, library_abort, leave_looping,
        lodger, terminate, kill_each, strike_each, own_handler, pool, spawn, terminal, daemon,
        thread, logging_child, beats, slow, late, thread_returns, greenlet_returns,
        greenlet_raises, greenlet_exits,
    )
}  # fmt: skip


def answer(path, environ):
    return f"{WAYS[path](environ)} {os.getpid()}" if path in WAYS else f"plain {os.getpid()}"


def app(environ, start_response):
    body = answer(environ["PATH_INFO"], environ).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


async def asgi_app(scope, receive, send):
    import asyncio

    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    if path in ("/slow", "/late"):
        await asyncio.sleep(0.5 if path == "/slow" else 30)
        if path == "/slow":
            with open(f"{PLACE}/slow-ended", "a") as file:
                file.write(f"{os.getpid()}\n")
        text = f"{path[1:]} {os.getpid()}"
    elif path == "/awaiting":
        if os.fork() == 0:
            await asyncio.sleep(0.3)
            note("awaited")  # never: this loop is the parent's
        text = f"parent {os.getpid()}"
    else:
        text = answer(path, {})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
