"""The example site's looks: one style sheet and a function for each page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #23212b; --paper: #faf8f5; --card: #fff;
        --line: #e3ded6; --accent: #6d4aa8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ece8f2; --paper: #17151c; --card: #211e29; --line: #37323f; --accent: #b698ea; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 2rem 1rem 4rem; color: var(--ink);
       background: var(--paper); font: 1rem/1.6 system-ui, sans-serif; }
header a { color: inherit; text-decoration: none; }
h1 { margin: 0; font-size: 2.2rem; letter-spacing: -.02em; }
h1::first-letter { color: var(--accent); }
section { margin: 1.2rem 0; padding: 1rem 1.3rem 1.2rem; background: var(--card);
          border: 1px solid var(--line); border-radius: .8rem; }
h2 { margin: 0 0 .5rem; font-size: 1.15rem; }
input, textarea, button { font: inherit; padding: .45rem .7rem; border-radius: .5rem;
                          border: 1px solid var(--line); background: transparent; color: inherit; }
textarea { width: 100%; height: 5rem; margin: .5rem 0; }
button { background: var(--accent); border-color: var(--accent); color: var(--paper);
         cursor: pointer; }
a { color: var(--accent); }
code, td { font: .88rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
td:first-child { padding-right: 1rem; white-space: nowrap; opacity: .7; vertical-align: top; }
blockquote { margin: .5rem 0; padding-left: 1rem; border-left: 3px solid var(--accent); }
"""

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"></head>
<body><header><h1><a href="/">monoceros</a></h1><p>{title}</p></header>
"""
FOOT = "</body></html>\n"

FRONT = """
<section><h2>A form</h2>
<form method="post" action="/greet">
<input name="name" placeholder="Your name" required>
<textarea name="message" placeholder="A message"></textarea>
<button>Send</button></form></section>
<section><h2>An upload</h2>
<form method="post" action="/upload" enctype="multipart/form-data">
<input type="file" name="file" required> <button>Upload</button></form>
<p>Any size: the file is hashed while it arrives and is not kept.</p></section>
<section><h2>A download</h2>
<p><a href="/download">This site's source</a>, sent by <code>wsgi.file_wrapper</code>.</p></section>
<section><h2>A stream</h2>
<p><a href="/stream">Ten lines</a>, one every half second.</p></section>
"""


def page(title: str, body: str) -> str:
    """A whole document; `title` is text, `body` is HTML."""
    return HEAD.format(title=escape(title)) + body + FOOT


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values, escaped."""
    cells = (
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in rows
    )
    return "<table>" + "".join(cells) + "</table>"


def front(facts: Iterable[tuple[str, object]]) -> str:
    """The first page; `facts` is what the server said about itself and this request."""
    body = FRONT + f"<section><h2>This request</h2>{table(facts)}</section>"
    return page("A small site to try a server with", body)


def greeting(name: str, message: str) -> str:
    """The answer to the form."""
    quote = f"<blockquote>{escape(message)}</blockquote>" if message else ""
    body = f"<section><h2>Hello, {escape(name)}!</h2>{quote}</section>"
    return page("Your message arrived", body)


def receipt(filename: str, size: int, sha256: str) -> str:
    """What arrived; `size` in bytes, `sha256` in hexadecimal."""
    rows: list[tuple[str, object]] = [("name", filename), ("size", f"{size} bytes")]
    rows.append(("sha256", sha256))
    return page("Your file arrived", f"<section>{table(rows)}</section>")


def trouble(title: str, words: str) -> str:
    """A page for an error."""
    return page(title, f"<section><p>{escape(words)}</p><p><a href='/'>Back</a></p></section>")
