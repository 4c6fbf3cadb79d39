#!/usr/bin/env python3
"""Writes docs/behind.md from the table of profiles in the built extension.

Usage: gen_behind_docs.py [--check] [FILE]. With --check nothing is written: exit status 1 means
that FILE is not what the table says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from monoceros import _core

HEAD = """# Behind a proxy

`--behind NAME` tells the server what stands in front of it. A profile is a set of *defaults*: what
you set yourself, in a configuration file, a variable or on the command line, wins over it, and
`monoceros --explain APP` shows for each value whether it came from the profile (`behind=alb`).
Generated from `src/config/profiles.def` by `tools/gen_behind_docs.py`: change that table, not this
page.

Four things go wrong between a proxy and a server, and the profiles are about them:

- **502 out of nowhere.** The proxy sends a request on a kept connection at the moment at which the
  server closes it. `keepalive` is therefore longer than the proxy's own idle time.
- **Deploys that lose requests.** The proxy goes on for a moment after SIGTERM: `drain_delay`. And
  the platform kills what takes too long: `graceful_timeout` ends before.
- **Believing the wrong one.** `forwarded_allow_ips` names who may speak for clients, and
  `secure_scheme_headers` and `forwarder_headers` are cut down to what the proxy itself writes:
  most balancers pass other fields of a client on as they came.
- **Two logs that do not meet.** The format has the client's address, the proxy's own id where it
  has one, and the request's id and times ([timing.md](timing.md)).

Times of your own configuration of a proxy are not known here: raise `keepalive` when you raise the
proxy's idle time. HTTP proxies other than these: take `nginx` and look at its idle time.
"""

TITLES = {
    "nginx": "nginx, on this machine",
    "haproxy": "HAProxy, on this machine",
    "alb": "AWS Application Load Balancer",
    "nlb": "AWS Network Load Balancer",
    "cloudfront": "Amazon CloudFront, without a balancer in between",
    "gclb": "Google Cloud Application Load Balancers",
    "cloudrun": "Google Cloud Run",
    "heroku": "Heroku",
    "k8s": "Kubernetes, behind an ingress",
}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def page() -> str:
    parts = [HEAD]
    last = ""
    for behind, setting, _, text, why, source in _core.profile_table():
        if behind != last:
            parts.append(f"\n## {behind}: {TITLES[behind]}\n\n")
            parts.append("| setting | value | why |\n|---|---|---|\n")
            last = behind
        value = f"`{cell(text)}`" if text else "nothing"
        more = f" ([source]({source}))" if source else ""
        parts.append(f"| `{setting}` | {value} | {cell(why)}{more} |\n")
    return "".join(parts)


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    files = [argument for argument in arguments if not argument.startswith("-")]
    here = Path(__file__).resolve().parent.parent
    target = Path(files[0]) if files else here / "docs" / "behind.md"
    if not check:
        target.write_text(page(), encoding="utf-8")
        return 0
    if target.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{target} is out of date: run {Path(__file__).name}.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
