"""The site: Sphinx's settings, and what turns zraw's plain docstrings into pages.

`bash .ci/docs` builds it.  zraw has to be installed: the docstrings and signatures are
those of the built extensions.
"""

from __future__ import annotations

import errno
import inspect
import os
import re
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

import zraw

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

import api_map  # noqa: E402

# ---- Sphinx's settings

project = "zraw"
author = "The zraw developers"
copyright = author
release = version = zraw.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"
exclude_patterns = ["_build"]
myst_heading_anchors = 4
# source:path is a file of the repository that is no page; see link_sources().
myst_url_schemes = {"http": None, "https": None, "mailto": None, "source": None}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_docstring_signature = False  # sign_classes() does it
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
nitpicky = True
# What is not zraw's has no page here: Python's own names, and zraw.aio's inner types.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!zraw\b)[A-Za-z_.]+"),
    (r"py:(class|obj|data)", r"zraw\.aio\.(base|patterns|pubsub|readable|reqrep)\..*"),
]
linkcheck_ignore = ["source:"]
linkcheck_timeout = 20
linkcheck_retries = 2

html_theme = "furo"
html_title = f"zraw {release}"
html_static_path = ["pictures/site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    # The system's fonts: nothing is fetched when a page is read.
    "light_css_variables": {"font-stack": "system-ui, sans-serif"},
}
# Where the sources can be read, as https://example.org/zraw/blob/main/; without it they
# are pages of the site.
repository = os.environ.get("ZRAW_DOCS_REPOSITORY", "")

# ---- Links to files that are no pages

# What pages include from outside this folder.
INCLUDED = {"CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<!!)(\[[^\]]*\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def rewrite_links(app, docname, source):
    """Give links that leave this folder, or lead to no page, the scheme source:."""
    folder = (DOCS / docname).parent

    def rewrite(match):
        label, path, place = match[1], match[2], match[3] or ""
        target = (folder / path).resolve()
        if not target.is_file() or not target.is_relative_to(ROOT):
            return match[0]
        inside = target.is_relative_to(DOCS)
        if inside and target.suffix == ".md":
            return match[0]
        name = target.relative_to(ROOT).as_posix()
        if name in INCLUDED:
            page = os.path.relpath(DOCS / INCLUDED[name], folder)
            return f"{label}{page}{place})"
        return f"{label}source:{name}{place})"

    parts = re.split(r"(^```.*?^```$)", source[0], flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [LINK.sub(rewrite, part) for part in parts[::2]]
    source[0] = "".join(parts)


def link_sources(app, doctree, docname):
    """Lead source:path#L66 to the repository, or to a page made of the file."""
    for node in doctree.findall(nodes.reference):
        uri = node.get("refuri", "")
        if not uri.startswith("source:"):
            continue
        path, _, place = uri.removeprefix("source:").partition("#")
        if repository:
            node["refuri"] = f"{repository}{path}" + (place and f"#{place}")
            continue
        if not (ROOT / path).is_file():
            raise FileNotFoundError(f"{docname}: {path}")
        node["refuri"] = app.builder.get_relative_uri(docname, f"source/{path}")
        if place:
            node["refuri"] += f"#{place.replace('L', 'L-')}"
        if not hasattr(app.env, "zraw_sources"):
            app.env.zraw_sources = set()
        app.env.zraw_sources.add(path)


def lexer_of(path):
    if path.suffix in (".pyx", ".pxd"):
        return get_lexer_for_filename("x.pyx")
    try:
        return get_lexer_for_filename(path.name)
    except ClassNotFound:
        return TextLexer()


def source_pages(app):
    """Yield a page for each file that was linked to."""
    for name in sorted(getattr(app.env, "zraw_sources", ())):
        path = ROOT / name
        formatter = HtmlFormatter(lineanchors="L", cssclass="highlight")
        body = highlight(path.read_text(), lexer_of(path), formatter)
        title = escape(name)
        page = {"title": title, "body": f"<h1><code>{title}</code></h1>\n{body}"}
        yield f"source/{name}", page, "page.html"


# ---- Docstrings

FIELD = re.compile(
    r"(C call|Waits|Copies|Raises|Returns|Since|Waits, Raises"
    r"|[a-z_]\w*(?:, [a-z_]\w*)*): (.*)"
)
GENERAL = ("C call", "Waits", "Copies", "Raises", "Returns", "Since")
CLASSES = {name: value for name, value in vars(zraw).items() if inspect.isclass(value)}
WORD = re.compile(
    r'(?P<literal>b?"[^"\n]*"|`[^`]+`|ZMQ_\w+)'
    r"|(?P<c>\bzmq_\w+)\(\)"
    r"|(?P<call>\b(?:\w+\.)*[a-z_]\w*)\(\)"
    r"|(?:\bzraw\.)?(?P<name>\b[A-Z]\w+\b(?!\())"
    r"|(?P<special>[*_|\\`<>])"
)


def role_of(value):
    return "exc" if issubclass(value, BaseException) else "class"


def find_call(name, owner):
    """Return role and full name of what a docstring calls `name()`, or None."""
    kind, _, method = name.rpartition(".")
    for holder in [kind] if kind else [owner, ""]:
        if holder in CLASSES and hasattr(CLASSES[holder], method):
            return "meth", f"zraw.{holder}.{method}"
        if not holder and callable(getattr(zraw, method, None)):
            return "func", f"zraw.{method}"
    return None


def program_of(function):
    """Return the path of the program that shows a C function, if there is one."""
    path = ROOT / "docs" / "man" / f"{function}.py"
    return path.relative_to(ROOT).as_posix() if path.is_file() else None


def mark_up(text, owner):
    """Return plain text as reST: literals, and links to what zraw has."""

    def replace(match):
        word = match[0]
        if match["special"]:
            return f"\\{word}"
        if match["literal"]:
            word = word.strip("`")
            return f"``{word}``"
        if match["c"]:
            program = program_of(match["c"])
            return f"`{word} <source:{program}>`__" if program else f"``{word}``"
        if match["call"]:
            found = find_call(match["call"], owner)
            return f":py:{found[0]}:`{word} <{found[1]}>`" if found else f"``{word}``"
        name = match["name"]
        if name in CLASSES and name != owner:
            return f":py:{role_of(CLASSES[name])}:`{name} <zraw.{name}>`"
        return word

    return WORD.sub(replace, text)


def paragraphs(lines):
    """Yield (field name or None, text): a docstring, cut into what belongs together."""
    name, text, fresh = None, [], True
    for line in [*lines, ""]:
        field = FIELD.match(line) if fresh or name else None
        if field or not line.strip():
            if text:
                yield name, " ".join(text)
            name, text = (field[1], [field[2]]) if field else (None, [])
        else:
            text.append(line.strip())
        fresh = not line.strip()


def process_docstring(*event):
    """Turn "C call:", "Raises:" and the arguments into fields."""
    _app, what, name, _value, _options, lines = event
    if "Alias for field" in "".join(lines):
        lines.clear()
        return
    names = name.split(".")  # zraw.Socket.bind, zraw.aio.Handle.recv
    owner = names[1] if names[1] != "aio" else ""
    first, *rest = lines or [""]
    if what == "class":
        # "Socket(context, type): a socket": the signature has its own place.
        first = re.sub(r"^\w+\(.*?\): (\w)", lambda found: found[1].upper(), first)
    body, fields, arguments = [], [], []
    for field, text in paragraphs([first, *rest]):
        marked = mark_up(text, owner)
        if field is None:
            body += [marked, ""]
        elif field.split(",")[0] in GENERAL:
            fields.append(f":{field}: {marked}")
        else:
            arguments.append(f"* **{mark_up(field, owner)}**: {marked}")
    lines[:] = body
    if arguments:
        lines += [":Arguments:", *(f"   {line}" for line in arguments)]
    lines += [*fields, ""]


def process_signature(*event):
    """Show the default of an argument as zmq.h writes it."""
    *_, signature, annotation = event
    if signature:
        signature = signature.replace("events=65535", "events=0xFFFF")
    return signature, annotation


def sign_classes(app, docname, source):
    """Take the signature of an extension's class from its docstring, as help() does."""

    def sign(match):
        text = CLASSES[match[1]].__doc__ or ""
        found = re.match(rf"{match[1]}(\(.*?\)): ", text)
        return match[0] + (found[1] if found else "")

    source[0] = re.sub(r"^\.\. autoclass:: zraw\.(\w+)$", sign, source[0], flags=re.M)


def resolve_home(app, env, node, contnode):
    """Find zraw.Socket where an annotation has its home, zraw.socket.Socket."""
    home = re.fullmatch(r"zraw\.\w+\.(\w+)", node.get("reftarget", ""))
    if node.get("refdomain") != "py" or home is None or home[1] not in CLASSES:
        return None
    return env.domains.python_domain.resolve_xref(
        env, node["refdoc"], app.builder, "class", f"zraw.{home[1]}", node, contnode
    )


# ---- Tables


class Table(Directive):
    """Markdown that is made from zraw itself when the page is read."""

    def run(self):
        node = nodes.container()
        lines = StringList(self.lines(), self.state.document.current_source)
        self.state.nested_parse(lines, self.content_offset, node)
        return node.children


# What a function belongs to, by how its name begins; the first that fits.
SUBJECTS = {
    "contexts": ("zmq_ctx_",),
    "messages": ("zmq_msg_",),
    "polling": ("zmq_poll", "zmq_ppoll"),
    "proxies": ("zmq_proxy",),
    "timers": ("zmq_timers_", "zmq_atomic_counter_", "zmq_stopwatch_"),
    "keys": ("zmq_curve_", "zmq_z85_"),
    "library": ("zmq_errno", "zmq_strerror", "zmq_version", "zmq_has", "zmq_sleep"),
    "sockets": ("zmq_",),
}


def subject_of(function):
    return next(
        subject for subject, begin in SUBJECTS.items() if function.startswith(begin)
    )


class Functions(Table):
    """The C functions of a subject, their Python names, and programs that show them."""

    required_arguments = 1

    def lines(self):
        known = api_map.entries()
        lines = ["| C | Python | |", "|---|---|---|"]
        for function in api_map.declared():
            if subject_of(function) == self.arguments[0]:
                lines.append(self.row(function, known))
        return lines

    def row(self, function, known):
        entry = api_map.python_names(function, known)[0]
        role = "meth" if "." in entry.name else "func"
        role = "class" if entry.name in CLASSES else role
        program = program_of(function)
        link = f"[program](source:{program})" if program else ""
        draft = " (draft)" if entry.draft else ""
        target = f"{{py:{role}}}`{entry.name} <zraw.{entry.name}>`"
        return f"| `{function}`{draft} | {target} | {link} |"


class Errors(Table):
    """errno and class, read from the table that the core uses."""

    def lines(self):
        text = (ROOT / "zraw" / "error.pyx").read_text()
        table = re.search(r"CLASSES = \{(.*?)\}", text, re.DOTALL)[1]
        lines = ["| errno | class | also a | text |", "|---|---|---|---|"]
        for name, kind in re.findall(r"(?:_errno\.)?(E\w+): (\w+)", table):
            number = getattr(zraw, name, None) or getattr(errno, name)
            builtins = ", ".join(
                f"`{base.__name__}`"
                for base in getattr(zraw, kind).__bases__
                if base is not zraw.ZMQError
            )
            lines.append(
                f"| `{name}` | {{py:exc}}`{kind} <zraw.{kind}>` | {builtins} "
                f"| {zraw.strerror(number)} |"
            )
        return lines


ACCESS = {"rw": "get, set", "r": "get", "w": "set"}
PYTHON = {
    "INT": "int",
    "UINT": "int",
    "INT64": "int",
    "UINT64": "int",
    "BINARY": "bytes",
    "STRING": "str",
    "KEY": "32 bytes, or 40 characters",
}


class Options(Table):
    """Every option of sockets, as zraw/option.pyx has it."""

    def lines(self):
        text = (ROOT / "zraw" / "option.pyx").read_text()
        lines = ["| option | Python | |", "|---|---|---|"]
        rows = re.findall(r'^    \((\d+), "(\w+)", (\w+), "(\w+)"\)', text, re.M)
        for number, name, kind, access in sorted(rows, key=lambda row: row[1]):
            how = ACCESS[access.rstrip("0s")]
            if "0" in access:
                how += ", `None` clears it"
            shown = "" if hasattr(zraw, f"ZMQ_{name}") else f" ({number})"
            lines.append(f"| `ZMQ_{name}`{shown} | {PYTHON[kind]} | {how} |")
        return lines


class Constants(Table):
    """Every constant of zmq.h and its value, in the order of zmq.h."""

    def lines(self):
        names = [n for n in vars(zraw.constants) if n.startswith(("ZMQ_", "E"))]
        lines = ["| name | value |", "|---|---:|"]
        return lines + [f"| `{name}` | `{getattr(zraw, name)!r}` |" for name in names]


def setup(app):
    app.connect("source-read", rewrite_links)
    app.connect("source-read", sign_classes)
    app.connect("doctree-resolved", link_sources)
    app.connect("html-collect-pages", source_pages)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("missing-reference", resolve_home)
    for kind in (Functions, Errors, Options, Constants):
        app.add_directive(f"zraw-{kind.__name__.lower()}", kind)
