"""Makes what the benchmark needs: system packages, an environment with every peer, the programs.

Safe to run again: what is there already stays. A peer that cannot be installed is written to
build/bench-venv/failed.json with the reason and named in each report; it never stops the others.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from servers import BARE, BIN, BUILD, HTTP_LOAD, ROOT, SCRATCH, SUITE, VENV, WS_LOAD

# libev for bjoern; pcre for uWSGI's routing, without which it cannot frame a stream.
_COMPILE = ["g++", "python3-dev", "python3-venv"]
_WITH = ["valgrind"] if SUITE == "builds" else ["wrk", "libev-dev", "libpcre2-dev"]
SYSTEM_PACKAGES = (*_COMPILE, *_WITH)
SPEED_PEERS = (
    "bjoern==3.2.2",
    "fastwsgi==0.0.9",
    "fastpysgi==0.6",
    "freastal==0.0.3",
    "granian==2.8.7",
    "uwsgi==2.0.31",
    "gunicorn==27.0.1",
    "waitress==3.0.2",
    "flask==3.1.3",
    "django==5.2.19",
    "matplotlib",
)
WORKERS_PEERS = (
    "gevent==26.9.0",
    "granian==2.8.7",
    "gunicorn==27.0.1",
    "httptools==0.9.0",
    "packaging==26.3",  # gunicorn's gevent worker imports it
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "websockets==17.4",
)
LIFECYCLE_PEERS = (
    "granian==2.8.7",
    "gunicorn==27.0.1",
    "uvicorn==0.54.0",
    "uwsgi==2.0.31",
    "waitress==3.0.2",
)
PEERS = {
    "speed": SPEED_PEERS,
    "workers": WORKERS_PEERS,
    "lifecycle": LIFECYCLE_PEERS,
    "builds": ("flask==3.1.3", "django==5.2.19", "gevent==26.9.0"),
}[SUITE]
# Built here, never from pip's cache, which may hold a build against another interpreter of the
# same version (uWSGI links to the libpython it was built with).
BUILT_HERE = ("bjoern", "uwsgi")
_HTTP_LOAD = ("http_load", HTTP_LOAD, "http_load.cpp")
PROGRAMS = {  # suite -> name, program, source of each
    "speed": (("bare", BARE, "bare_loop.cpp"), _HTTP_LOAD),
    "workers": (("ws_load", WS_LOAD, "ws_load.cpp"), _HTTP_LOAD),
    "builds": (_HTTP_LOAD,),
}
FAILED = VENV / "failed.json"
_STAMP = VENV / "monoceros.stamp"
_SOURCES = ("src", "python", "cmake", "CMakeLists.txt", "pyproject.toml")


def say(line: str) -> None:
    """Print a line of progress at once."""
    print(f"bench: {line}", flush=True)


def install_system_packages() -> None:
    """Install missing Debian packages when permitted; otherwise say what to type."""
    if shutil.which("dpkg-query") is None:
        return
    command = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *SYSTEM_PACKAGES]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    present = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    missing = [name for name in SYSTEM_PACKAGES if name not in present]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        say(f"missing system packages; run: sudo {' '.join(install)}")
        return
    say(f"installing {' '.join(missing)}")
    subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL, check=False)
    subprocess.run(install, stdout=subprocess.DEVNULL, check=False)


def make_venv(python: str) -> None:
    """Create the environment. Its interpreter is a copy: no other program shares its pages,

    which would make the servers look smaller (PSS divides a page among all who map it).
    """
    if not (BIN / "python").exists():
        say(f"creating {VENV.relative_to(ROOT)}")
        subprocess.run([python, "-m", "venv", "--copies", str(VENV)], check=True)


def installed_versions() -> dict[str, str]:
    """Distribution name in lower case -> version, as the environment sees it."""
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    done = subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def _pip_install(name: str, *arguments: str) -> str:
    """Install; returns the reason of a failure, "" for success. The output goes to a log."""
    command = [str(BIN / "python"), "-m", "pip", "install", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    log = SCRATCH / f"pip-{name}.log"
    log.write_text(done.stdout + done.stderr)
    return f"pip failed, see {log.relative_to(ROOT)}"


def install_peers() -> dict[str, str]:
    """Install each peer by itself; returns name -> reason of those that failed."""
    versions = installed_versions()
    failed: dict[str, str] = {}
    for requirement in PEERS:
        name, _, version = requirement.partition("==")
        have = versions.get(name)
        if have is not None and version in ("", have):
            continue
        say(f"installing {requirement}")
        build = ["--no-cache-dir", "--no-binary", name] if name in BUILT_HERE else []
        reason = _pip_install(name, *build, requirement)
        if reason:
            failed[name] = reason
            say(f"{requirement} could not be installed: {reason}")
    return failed


def source_digest() -> str:
    """Changes whenever a file that goes into the package does."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def install_monoceros() -> str:
    """Install this repository's package as users do; returns the reason of a failure.

    BENCH_WHEEL=<wheel> takes that wheel instead; BENCH_KEEP=1 keeps what is installed.
    """
    if os.environ.get("BENCH_KEEP") == "1" and "monoceros" in installed_versions():
        return ""
    source = os.environ.get("BENCH_WHEEL") or str(ROOT)
    digest = source if source.endswith(".whl") else source_digest()
    if not source.endswith(".whl") and _STAMP.exists() and _STAMP.read_text() == digest:
        return ""
    say("installing monoceros")
    _STAMP.unlink(missing_ok=True)
    subprocess.run(
        [str(BIN / "python"), "-m", "pip", "uninstall", "-qy", "monoceros"],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    reason = _pip_install("monoceros", "--no-deps", "--force-reinstall", source)
    if reason:
        say(f"monoceros could not be installed: {reason}")
    else:
        _STAMP.write_text(digest)
    return reason


def build(target: Path, source: Path) -> str:
    """Compile one file when the target is older than it; returns a failure's reason."""
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return ""
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command = [compiler, *flags, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()[-200:]


def main() -> None:
    """Set everything up; ends with 0 even when a peer failed, since the report names it."""
    BUILD.mkdir(exist_ok=True)
    install_system_packages()
    make_venv(os.environ.get("BENCH_PYTHON") or sys.executable)
    failed = install_peers()
    if SUITE != "builds":  # which builds its own two
        failed["monoceros"] = install_monoceros()
    for program, target, source in PROGRAMS.get(SUITE, ()):
        failed[program] = build(target, ROOT / "bench" / source)
        if failed[program]:
            say(f"{source} does not compile: {failed[program]}")
    failed = {name: reason for name, reason in failed.items() if reason}
    FAILED.write_text(json.dumps(failed, indent=1) + "\n")


if __name__ == "__main__":
    main()
