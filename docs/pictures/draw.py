"""Draw the pictures of the tutorial: `python docs/pictures/draw.py` writes them anew.

An SVG that a page shows as an image does not know whether the page is dark.  So the
colours are of middle lightness, and read on white as well as on black.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LINE = "#7b8794"
FILLS = {"ask": "#1f6fb2", "answer": "#2b7a4b", "middle": "#7a5195", "frame": "#5b6773"}
WIDTH, HEIGHT = 112, 40


class Picture:
    """Boxes, arrows and frames; coordinates are those of the boxes' centres."""

    def __init__(self, name: str, title: str, width: int, height: int) -> None:
        self.name, self.title = name, title
        self.width, self.height = width, height
        self.parts: list[str] = []

    def text(self, x: float, y: float, text: str, kind: str = "note") -> None:
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>')

    def box(
        self, x: float, y: float, label: str, kind: str = "ask", note: str = ""
    ) -> None:
        self.parts.append(
            f'<rect x="{x - WIDTH / 2}" y="{y - HEIGHT / 2}" width="{WIDTH}" '
            f'height="{HEIGHT}" rx="6" fill="{FILLS[kind]}"/>'
        )
        self.text(x, y + 5, label, "label")
        if note:
            self.text(x, y + HEIGHT / 2 + 16, note)

    def arrow(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        note: str = "",
        both: bool = False,
        dashed: bool = False,
    ) -> None:
        """An arrow between points; its note stands above the middle."""
        (x1, y1), (x2, y2) = start, end
        more = ' marker-start="url(#tip)"' if both else ""
        more += ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{LINE}" '
            f'stroke-width="2" marker-end="url(#tip)"{more}/>'
        )
        if note:
            self.text((x1 + x2) / 2, (y1 + y2) / 2 - 8, note)

    def frames(self, x: float, y: float, frames: list[str], first: str = "") -> None:
        """A message, frame by frame, its left end at x; `first` stands before it."""
        if first:
            self.text(x - 10, y + 5, first, "before")
        for frame in frames:
            width = max(34, 9 * len(frame) + 14)
            self.parts.append(
                f'<rect x="{x}" y="{y - 13}" width="{width}" height="26" rx="3" '
                f'fill="{FILLS["frame"]}"/>'
            )
            self.text(x + width / 2, y + 5, frame, "frame")
            x += width + 4

    def write(self) -> None:
        body = "\n".join(self.parts)
        (FOLDER / f"{self.name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" '
            f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" '
            f'role="img">\n<title>{escape(self.title)}</title>\n'
            "<style>text { font: 14px system-ui, sans-serif; text-anchor: middle }\n"
            f".note, .before {{ fill: {LINE} }}\n"
            ".before { text-anchor: end }\n"
            ".label, .frame { fill: #fff }\n"
            ".label { font-weight: 600 }\n"
            ".frame { font-family: ui-monospace, monospace }</style>\n"
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" '
            'markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 0L10 5L0 10z" fill="{LINE}"/></marker></defs>\n'
            f"{body}\n</svg>\n"
        )


def requests() -> Picture:
    picture = Picture("req-rep", "A REQ asks, a REP answers", 560, 90)
    picture.box(90, 45, "REQ")
    picture.box(470, 45, "REP", "answer")
    picture.arrow((152, 36), (408, 36), "1  question")
    picture.arrow((408, 58), (152, 58))
    picture.text(280, 77, "2  answer")
    return picture


def publishing() -> Picture:
    picture = Picture("pub-sub", "A PUB sends to each SUB what it wants", 560, 240)
    picture.box(90, 105, "PUB", "answer")
    for y, wanted in (
        (25, "wants “cats”"),
        (105, "wants “”: all"),
        (185, "wants “dogs”"),
    ):
        picture.box(470, y, "SUB", note=wanted)
        picture.arrow((152, 105), (408, y))
    picture.text(250, 45, "“cats purr”")
    picture.text(290, 98, "all three")
    picture.text(250, 178, "“dogs bark”")
    for line, words in enumerate(("“cats purr”", "“dogs bark”", "“mice squeak”")):
        picture.text(90, 150 + 20 * line, words)
    return picture


def forwarding() -> Picture:
    picture = Picture(
        "xpub-xsub", "An XSUB and an XPUB forward messages and subscriptions", 700, 205
    )
    for y in (55, 125):
        picture.box(80, y, "PUB", "answer")
        picture.box(620, y, "SUB")
        picture.arrow((142, y), (228, 90 - 8 if y == 55 else 90 + 8))
        picture.arrow((472, 90 - 8 if y == 55 else 90 + 8), (558, y))
    picture.box(290, 90, "XSUB", "middle")
    picture.box(410, 90, "XPUB", "middle")
    picture.text(350, 60, "proxy")
    picture.arrow((80, 22), (620, 22), dashed=True)
    picture.text(350, 14, "messages")
    picture.arrow((620, 172), (80, 172), dashed=True)
    picture.text(350, 192, "subscriptions")
    return picture


def pipeline() -> Picture:
    picture = Picture("push-pull", "Tasks go out in turn; results come in", 640, 235)
    picture.box(80, 105, "PUSH", "answer", note="tasks")
    picture.box(560, 105, "PULL", note="results")
    for number, y in enumerate((25, 105, 185), 1):
        picture.box(320, y, "PULL  PUSH", "middle", note=f"worker {number}")
        picture.arrow((142, 105), (258, y))
        picture.arrow((382, y), (498, 105))
    return picture


def routing() -> Picture:
    picture = Picture(
        "dealer-router", "A ROUTER puts the sender's id in front", 700, 180
    )
    picture.box(80, 45, "DEALER")
    picture.box(620, 45, "ROUTER", "answer")
    picture.arrow((142, 45), (558, 45), both=True)
    picture.frames(150, 105, ["", "question"], "DEALER sends")
    picture.frames(150, 150, ["", "answer"], "DEALER receives")
    picture.frames(490, 105, ["id", "", "question"], "ROUTER receives")
    picture.frames(490, 150, ["id", "", "answer"], "ROUTER sends")
    return picture


def pair() -> Picture:
    picture = Picture("pair", "Two threads, each with its end of a pair", 560, 90)
    picture.box(90, 35, "PAIR", note="one thread")
    picture.box(470, 35, "PAIR", "answer", note="another thread")
    picture.arrow((152, 35), (408, 35), "inproc", both=True)
    return picture


def stream() -> Picture:
    picture = Picture("stream", "A STREAM talks to whoever speaks TCP", 660, 150)
    picture.box(80, 45, "TCP client", note="no ZeroMQ")
    picture.box(580, 45, "STREAM", "answer")
    picture.arrow((142, 45), (518, 45), "plain bytes", both=True)
    picture.frames(420, 110, ["id", "some bytes"], "STREAM receives and sends")
    return picture


def broker() -> Picture:
    picture = Picture("broker", "A proxy between clients and workers", 700, 190)
    for y in (35, 95, 155):
        picture.box(80, y, "REQ")
        picture.arrow((142, y), (228, 95 + (y - 95) / 6), both=True)
    for y in (60, 130):
        picture.box(620, y, "REP", "answer")
        picture.arrow((472, 95 + (y - 95) / 4), (558, y), both=True)
    picture.box(290, 95, "ROUTER", "middle")
    picture.box(410, 95, "DEALER", "middle")
    picture.text(350, 65, "proxy")
    return picture


def credit() -> Picture:
    picture = Picture(
        "credit", "The receiver asks for pieces; few are under way", 560, 110
    )
    picture.box(90, 45, "DEALER", note="wants the file")
    picture.box(470, 45, "ROUTER", "answer", note="has the file")
    picture.arrow((152, 36), (408, 36), "piece 5, please")
    picture.arrow((408, 56), (152, 56))
    picture.text(280, 75, "pieces 1 to 4, under way")
    return picture


PICTURES = (
    requests,
    publishing,
    forwarding,
    pipeline,
    routing,
    pair,
    stream,
    broker,
    credit,
)


def main() -> None:
    for draw in PICTURES:
        draw().write()


if __name__ == "__main__":
    main()
