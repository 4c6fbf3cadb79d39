#!/usr/bin/env python3
"""Writes docs/behind.md from the table of profiles in the built extension.

Usage: gen_behind_docs.py [--check] [FILE]. With --check nothing is written: exit status 1 means
that FILE is not what the table says.
"""

from __future__ import annotations

import sys

from generated_page import write_or_check

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


if __name__ == "__main__":
    sys.exit(write_or_check("behind.md", page(), sys.argv))
