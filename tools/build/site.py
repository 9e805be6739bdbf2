"""Make the web site in `_site/html` from the stored outputs of the notebooks: nothing is executed, nothing fetched.

`python -m tools.build.site` writes the pages' sources into `_site/source` and lets Sphinx, with the configuration in
`site/`, make the site from them (`python course.py site` calls this). Chapters, pages, workbooks, benchmarks and
packages are found by their names: a new one needs no line here.
"""
import argparse
import functools
import http.server
import json
import re
import shutil
import sys
from base64 import b64decode
from html import escape
from pathlib import Path

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # two seconds to read; notebooks need none of it

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from tools.build import api
from tools.gates.prose import rows
from tools.notebooks import REFERENCE, ROOT, fact, lessons, title

SOURCE = re.compile(r"(\]\((?!https?:)[^)\s#]+)\.(?:ipynb|md)(?=[)#])")
SLIDER = "*Here the notebook has a slider to move.*"
FIRST = "index"  # the notebook behind the first page
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)\s]+)(?=\))")


def repository(root: Path) -> str:
    "The address of the repository"
    text = (root/"pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'^Repository = "(.+)"', text, re.M)[0]


class Pages:
    "Where each file of the repository stands on the site"

    def __init__(self, root: Path):
        self.root, self.repository = root, repository(root)
        self.library = api.Library(root, self.repository)
        self.rooms = {p.stem: f"api/{name.split('.')[1]}.md" for name, p in self.library.notebook.items()}
        self.lessons = [p.stem for p in lessons(root)]
        others = [p.stem for p in sorted((root/"nbs").glob("*.ipynb")) if p.stem not in (*self.lessons, FIRST)]
        self.reference = sorted(others, key=lambda n: (n not in REFERENCE, n))
        self.workbooks = [p.stem for p in sorted((root/"exercises").glob("*.ipynb"))]
        self.benchmarks = [p.stem for p in sorted((root/"benchmarks"/"results").glob("*.md"))]

    def place(self, path: Path) -> str:
        "The source of the page that shows a file of the repository; its address in the repository if none does"
        if path.suffix == ".ipynb":
            if path.parent == self.root/"nbs": return path.name
            if path.parent == self.root/"exercises": return f"exercises/{path.name}"
            if path.stem in self.rooms: return self.rooms[path.stem]
        if path == self.root/"exercises": return "exercises/index.md"
        if path.suffix == ".md" and path.parent == self.root/"benchmarks"/"results": return f"benchmarks/{path.name}"
        return f"{self.repository}/{'tree' if path.is_dir() else 'blob'}/main/{path.relative_to(self.root).as_posix()}"

    def relink(self, text: str, folder: Path, depth: int) -> str:
        "Text whose links, written for a file in `folder`, lead where the site shows what they mean"
        def moved(m: re.Match) -> str:
            target, hash_, part = m[1].partition("#")
            place = self.place((folder/target).resolve())
            if place.startswith("api/"): hash_ = part = ""  # a room's headings stand in its notebook alone
            return ("" if place.startswith("http") else "../"*depth) + place + hash_ + part
        return LINK.sub(moved, text)


def prose(text: str) -> str:
    "Markdown of a notebook as the site's Markdown: computed numbers are plain text, hints and answers stay folded"
    text = re.sub(r'<span data-value="[^"]+">([^<]*)</span>', r"\1", text)
    return re.sub(r"<dfn[^>]*>(.+?)</dfn>", r"<dfn>\1</dfn>", text)


def bare(source: str) -> str:
    "Code without directives"
    return "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip("\n")


def anchors(cell: NotebookNode, named: set[str]) -> str:
    "Invisible targets in front of a cell that a claim or a verdict points at"
    ids = [f"note-{n}" for n in fact(cell, "notes") or []] + [f"cell-{cell.id}"]*(cell.id in named)
    return "".join(f'<a id="{i}"></a>' for i in ids)


def outputs(cell: NotebookNode) -> list:
    "What a cell shows on a page: no state of sliders, no errors' colours, the richest form alone"
    kept = []
    for o in cell.outputs:
        data = o.get("data", {})
        if "application/vnd.jupyter.widget-view+json" in data:
            o = nbformat.v4.new_output("display_data", {"text/markdown": SLIDER})
        elif "text/html" in data: data["text/html"] = table(data["text/html"])
        elif "text/markdown" in data: data["text/markdown"] = prose(data["text/markdown"])
        kept.append(o)
    return kept


def table(html: str) -> str:
    "A table of pandas without its own looks"
    html = re.sub(r"<style[^>]*>.*?</style>", "", html, flags=re.S)
    html = re.sub(r' (?:border|style)="[^"]*"', "", html) if "<table" in html else html
    return html.replace("<th></th>", "<td></td>")


def code(cell: NotebookNode, named: set[str]) -> list:
    "A code cell as the site shows it, after its anchors; nothing if it is machinery"
    lines, out = cell.source.splitlines(), []
    if ids := anchors(cell, named): out.append(new_markdown_cell(ids, id=f"at-{cell.id}"))
    if any(line.startswith(("#| hide", "#| default_exp")) for line in lines[:1]): return out
    source, silent = bare(cell.source), "#| echo: false" in lines
    cell.outputs = outputs(cell)
    if not source or silent and not cell.outputs: return out
    tags = ["remove-input"] if silent else ["hide-input"]*bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
    alt, played = fact(cell, "alt"), fact(cell, "widget")
    if played: cell.outputs = [o for o in cell.outputs if SLIDER not in str(o)]
    cell.source, cell.execution_count = source, None
    cell.metadata = {"tags": tags, "mystnb": {"image": {"alt": alt}}} if alt else {"tags": tags}
    return [*out, cell, *([new_markdown_cell(widget(played), id=f"widget-{cell.id}")] if played else [])]


@functools.cache
def widget_words() -> dict[str, dict[str, str]]:
    "Title, task and still picture in words of each widget, as the widgets' own build wrote them"
    return json.loads((ROOT/"site"/"widgets"/"words.json").read_text(encoding="utf-8"))


def widget(name: str) -> str:
    "A widget's place on a page: its title, its task, and a picture that its script replaces"
    words = {key: escape(text) for key, text in widget_words()[name].items()}
    return (f'<figure class="widget" data-widget="{name}"><figcaption><b>{words["title"]}.</b> {words["task"]}'
            f'</figcaption><img src="_static/widget-{name}.svg" alt="{words["said"]}"></figure>')


def page(path: Path, pages: Pages, depth: int, named: set[str]) -> NotebookNode:
    "A notebook as the site shows it"
    nb, cells = api.read(path), []
    for c in nb.cells:
        c.get("attachments", {}).clear()
        if c.cell_type == "code": cells += code(c, named)
        elif c.cell_type == "markdown" and "#| hide" not in c.source:
            ids = anchors(c, named)
            c.source, c.metadata = (f"{ids}\n\n" if ids else "") + prose(c.source), {}
            cells.append(c)
    for c in cells:
        if c.cell_type == "markdown": c.source = pages.relink(c.source, path.parent, depth)
        else:
            for o in c.outputs:
                if "text/markdown" in o.get("data", {}):
                    o.data["text/markdown"] = pages.relink(o.data["text/markdown"], path.parent, depth)
    nb.cells = cells
    nb.metadata = {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"},
                   "language_info": {"name": "python"}}
    return nb


def contents(caption: str, names: list[str], deep: int = 1) -> str:
    "A part of the navigation"
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", f":maxdepth: {deep}", "", *names, "```", ""])


def listing(heading: str, text: str, names: list[str]) -> str:
    "A page that only leads to others"
    return "\n".join([f"# {heading}", "", text, "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])


def claims(pages: Pages) -> str:
    "The page of every sentence that says something is better, with the cell that shows it"
    sentences = [r for r in rows(pages.root/"nbs"/"claims.csv") if r["kind"] != "not a claim"]
    lines = ["# What the course says is better, and what shows it", "",
             "> This page lists every sentence of the course that calls something better, faster or a help, with the "
             "cell that would fail if it were wrong.", "",
             f"{len(sentences)} sentences. *Measured* means over several seeds or in turn, with an interval; *proved* "
             "means that the cell checks it exactly. Claims taken from study notes stand in [a table of their own]"
             "(notes.ipynb).", ""]
    for chapter in dict.fromkeys(r["chapter"] for r in sentences):
        where = pages.root/"nbs"/f"{chapter}.ipynb"
        if not where.exists(): continue
        lines += [f"## [{title(api.read(where))}]({chapter}.ipynb)", "",
                  "| what is said | | what shows it |", "|---|---|---|"]
        for r in (r for r in sentences if r["chapter"] == chapter):
            said, why = (api.cell_text(re.sub(r"<[^>]+>|^#+ ", "", r[k])) for k in ("phrase", "why"))
            shown = f'<a href="{chapter}.html#cell-{r["cell"]}">{r["kind"]}</a>' if r["cell"] else r["kind"]
            lines.append(f"| {said} | {shown} | {why} |")
        lines.append("")
    return "\n".join(lines)


def verdicts(text: str, root: Path) -> str:
    "The table of verdicts, each id a link to the cell that decides it"
    where = {r["id"]: r["chapter"] for r in rows(root/"nbs"/"field_notes.csv")}
    return re.sub(r"^\| ([A-Z]\d+) \|", lambda m: f'| <a href="{where[m[1]]}.html#note-{m[1]}">{m[1]}</a> |'
                  if m[1] in where and (root/"nbs"/f"{where[m[1]]}.ipynb").exists() else m[0], text, flags=re.M)


def benchmark(path: Path, pages: Pages) -> str:
    "A page of results; what measured them stands below"
    text = pages.relink(path.read_text(encoding="utf-8"), path.parent, 1)
    if not text.startswith("# "): text = f"# {path.stem.replace('_', ' ').capitalize()}\n\n{text}"
    script = path.parent.parent/f"{path.stem}.py"
    beside = [p for p in sorted(path.parent.glob(f"{path.stem}*")) if p.suffix in {".csv", ".json"}]
    files = [*([script] if script.exists() else []), *beside]
    links = [f"[{p.name}]({pages.place(p)})" for p in files]
    return text.rstrip() + ("\n\nMeasured by and kept in: " + ", ".join(links) + ".\n" if links else "\n")


def card(path: Path, pictures: Path) -> str:
    "What the first page shows of a chapter: its first picture, its title and its promise"
    nb = api.read(path)
    head = next(c.source for c in nb.cells if c.cell_type == "markdown")
    promise = " ".join(line.lstrip("> ") for line in head.splitlines() if line.startswith(">"))
    promise = re.sub(r"^After this notebook you (?=can )?", "You ", promise)
    shown = next(((m.split("/")[1], d) for c in nb.cells if c.cell_type == "code" and fact(c, "alt")
                  for o in c.outputs for m, d in o.get("data", {}).items() if m in ("image/png", "image/jpeg")), None)
    image = ""
    if shown:
        pictures.mkdir(parents=True, exist_ok=True)
        (pictures/f"{path.stem}.{shown[0]}").write_bytes(b64decode(shown[1]))
        image = f'<img src="_static/{path.stem}.{shown[0]}" alt="" loading="lazy">'
    number = f"<b>{path.stem[:2]}</b> " if path.stem[:2].isdigit() else ""
    return (f'<li><a href="{path.stem}.html"><span class="shown">{image}</span><span class="said">{number}'
            f'{escape(title(nb))}</span></a><p>{escape(promise)}</p></li>')


def first_page(pages: Pages, out: Path) -> NotebookNode:
    "The first page: what stands in site/first.md, a card for each lesson, then the text of nbs/index.ipynb"
    nb = page(pages.root/"nbs"/f"{FIRST}.ipynb", pages, 0, set())
    start = pages.root/"nbs"/f"{pages.lessons[0]}.ipynb"
    fill = {"start": start.stem, "start_title": title(api.read(start)), "lessons": str(len(pages.lessons)),
            "repository": pages.repository}
    hero = (pages.root/"site"/"first.md").read_text(encoding="utf-8")
    hero = re.sub(r"\{(\w+)\}", lambda m: fill[m[1]] if m[1] in fill else m[0], hero)
    cards = "\n".join(card(pages.root/"nbs"/f"{n}.ipynb", out/"_pictures") for n in pages.lessons)
    head, picture = nb.cells[0].source, next(c for c in nb.cells if c.cell_type == "code")
    picture.outputs = [o for o in picture.outputs if "image/png" in o.get("data", {})]
    road = new_markdown_cell(f'## The road\n\n<ol class="cards">\n{cards}\n</ol>', id="road")
    rest = [c for c in nb.cells[1:] if c is not picture and not is_road(c, pages)]
    numbered = [f"{n[:2]} {title(api.read(pages.root/'nbs'/f'{n}.ipynb'))} <{n}>" for n in pages.lessons]
    parts = [contents("The road", numbered), contents("Beside the road", [*pages.reference, "claims"]),
             contents("To work with", ["exercises/index", "api/index", "benchmarks/index"])]
    nb.cells = [new_markdown_cell(f"{head}\n\n{hero}", id="first"), picture, road, *rest,
                new_markdown_cell("\n".join(parts), id="contents")]
    return nb


def is_road(cell: NotebookNode, pages: Pages) -> bool:
    "Whether a cell of the index lists the chapters, which the cards do here"
    text = "".join(o.get("data", {}).get("text/markdown", "") for o in cell.get("outputs", []))
    return sum(f"({n}.ipynb)" in text for n in pages.lessons) > 1 or cell.source.startswith("## Chapters")


def notebooks(pages: Pages) -> dict[str, str]:
    "{file: text} of the lessons, the pages beside them and the workbooks"
    root, texts = pages.root, dict[str, str]()
    named = {r["cell"] for r in rows(root/"nbs"/"claims.csv") if r["cell"]}
    for name in [*pages.lessons, *pages.reference]:
        nb = page(root/"nbs"/f"{name}.ipynb", pages, 0, named)
        for c in nb.cells if name == "notes" else []:
            for o in c.get("outputs", []): o.data["text/markdown"] = verdicts(o.data.get("text/markdown", ""), root)
        texts[f"{name}.ipynb"] = nbformat.v4.writes(nb)
    for name in pages.workbooks:
        nb = page(root/"exercises"/f"{name}.ipynb", pages, 1, set())
        for c in nb.cells:  # its tasks stand under no heading of a section, as they do in the chapter
            if c.cell_type == "markdown": c.source = re.sub(r"^##(?=#+ )", "#", c.source, flags=re.M)
        texts[f"exercises/{name}.ipynb"] = nbformat.v4.writes(nb)
    return texts


def packages(pages: Pages) -> dict[str, str]:
    "{file: text} of the library's pages, and of what the docstrings of its modules link to"
    library = pages.library
    texts = {f"api/{name}.md": library.page(name, modules) for name, modules in library.packages().items()}
    host = re.findall(r'^Documentation = "(.+)"', (pages.root/"pyproject.toml").read_text(encoding="utf-8"), re.M)[0]
    for address, text in library.plain().items():
        texts[f"_plain{address.removeprefix(host)}"] = SOURCE.sub(r"\1.html", text).replace("](../", f"]({host}/")
    return texts


def lists(pages: Pages) -> dict[str, str]:
    "{file: text} of the pages that lead to others"
    return {
        "exercises/index.md": listing("Workbooks", "The exercises of each chapter, without solutions. Open one in "
                                      "Jupyter, Colab or Kaggle, fill in the functions and run the checks.",
                                      pages.workbooks),
        "api/index.md": listing("The library", "One page for each package: what is public, what it takes, what it "
                                "raises, and the lesson that teaches it.", list(pages.library.packages())),
        "benchmarks/index.md": listing("Benchmarks", "What was measured beside other libraries, and on which machine.",
                                       pages.benchmarks)}


def prepare(root: Path, out: Path) -> None:
    "Write the source of every page into `out`"
    pages, results = Pages(root), root/"benchmarks"/"results"
    shutil.rmtree(out, ignore_errors=True)
    texts = {**notebooks(pages), **packages(pages), **lists(pages), "claims.md": claims(pages),
             **{f"benchmarks/{name}.md": benchmark(results/f"{name}.md", pages) for name in pages.benchmarks},
             f"{FIRST}.ipynb": nbformat.v4.writes(first_page(pages, out))}
    for name, text in texts.items():
        (out/name).parent.mkdir(parents=True, exist_ok=True)
        (out/name).write_text(text, encoding="utf-8")
    for picture in results.glob("*.png"): shutil.copy(picture, out/"benchmarks"/picture.name)


def build(root: Path, out: Path) -> int:
    "Make the site in `out/html`; 1 if Sphinx warned of anything"
    from sphinx.cmd.build import main as sphinx
    prepare(root, out/"source")
    shutil.rmtree(out/"html", ignore_errors=True)
    return sphinx(["-b", "html", "-q", "-W", "--keep-going", "-d", str(out/"doctrees"), "-c", str(root/"site"),
                   str(out/"source"), str(out/"html")])


def serve(folder: Path, port: int) -> None:
    "Show the site on this machine until Ctrl-C"
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        server.serve_forever()


def main() -> int:
    "Build the site, and serve it if asked"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="show the site in a browser of this machine")
    parser.add_argument("--port", type=int, default=8000)
    args, out = parser.parse_args(), ROOT/"_site"
    code = build(ROOT, out)
    print(f"The site is in {out/'html'}" if code == 0 else "Sphinx warned: see the lines above.")
    if args.serve and code == 0: serve(out/"html", args.port)
    return code


if __name__ == "__main__": sys.exit(main())
