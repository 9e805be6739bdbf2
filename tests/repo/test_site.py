"""The web site: it builds without a warning, every link in it leads somewhere, and no part of the course is missing."""
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import torch

from course_lib.losses import softmax
from course_lib.lr_finder import lr_sweep, minimum, moving_average, slide, steep, valley
from tools.build import api
from tools.build.site import Pages, bare, benchmark, prose, table
from tools.notebooks import ROOT, fact, lessons
from tools.site_check import searched


class Page(HTMLParser):
    "What a page holds: where its links lead, its ids, what it loads, its pictures"

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.loads, self.images = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if given.get("id"): self.ids.add(given["id"])
        if tag == "a" and given.get("href"): self.links.append(given["href"])
        if tag == "img": self.images.append(given)
        if tag in ("script", "img", "iframe", "source") and given.get("src"): self.loads.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical",) and given.get("href"): self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "The folder of the site, made once; a warning of Sphinx is an error"
    out = tmp_path_factory.mktemp("site")
    code = "import sys; from pathlib import Path; from tools.build.site import build; sys.exit(build(Path.cwd(), Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out/"html"


@pytest.fixture(scope="module")
def pages(site):
    "{name: what it holds} of every page"
    return {p.relative_to(site).as_posix(): Page(p.read_text(encoding="utf-8")) for p in site.rglob("*.html")}


def test_every_part_of_the_course_has_a_page(pages):
    every = {f"{p.stem}.html" for p in (ROOT/"nbs").glob("*.ipynb")}
    every |= {f"exercises/{p.stem}.html" for p in (ROOT/"exercises").glob("*.ipynb")}
    every |= {f"benchmarks/{p.stem}.html" for p in (ROOT/"benchmarks"/"results").glob("*.md")}
    every |= {f"api/{s.name.split('.')[1]}.html" for s in api.sources(ROOT)} | {"claims.html", "404.html", "search.html"}
    assert every <= set(pages)


def test_every_link_inside_the_site_leads_somewhere(pages, site):
    dead = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html": continue
            place = os.path.normpath(os.path.join(os.path.dirname(name), unquote(parts.path))) if parts.path else name
            if place not in pages: dead += [f"{name}: {link}"]*(not (site/place).is_file())
            elif parts.fragment and unquote(parts.fragment) not in pages[place].ids: dead.append(f"{name}: {link}")
    assert not dead


def test_nothing_is_loaded_from_elsewhere(pages, site):
    foreign = [f"{name}: {src}" for name, page in pages.items() for src in page.loads if urlsplit(src).netloc]
    foreign += [str(p) for p in site.rglob("*.css") if re.search(r"(?:@import|url\()\s*['\"]?(https?:)?//", p.read_text(encoding="utf-8"))]
    assert not foreign


def test_every_picture_of_a_lesson_says_what_it_shows(pages):
    for path in lessons(ROOT):
        said = {i["alt"] for i in pages[f"{path.stem}.html"].images if i.get("alt")}
        asked = {" ".join(fact(c, "alt").split()) for c in nbformat.read(path, 4).cells
                 if fact(c, "alt") and not c.source.startswith("#| hide") and any("image/" in str(list(o.get("data", {}))) for o in c.outputs)}
        assert asked <= {" ".join(s.split()) for s in said}, path.stem


@pytest.fixture(scope="module")
def course():
    "Where each file of this repository stands on the site"
    return Pages(ROOT)


def test_every_public_name_has_its_anchor(pages, course):
    every = {i for name, page in pages.items() if name.startswith("api/") for i in page.ids}
    assert set(course.library.names()) <= every


def test_what_the_docstrings_link_to_is_there(site):
    named = {m for p in (ROOT/"course_lib").rglob("*.py") for m in re.findall(r"^Docs: https://[^/]+/[^/]+/(\S+?)\"*$",
                                                                            p.read_text(encoding="utf-8"), re.M)}
    assert len(named) > 50 and not [m for m in named if not (site/m).is_file()]


def test_the_search_knows_every_name_and_word(site):
    text = (site/"searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("{"):text.rindex("}") + 1])
    objects = {o[-1] if isinstance(o, list) else o for os in index["objects"].values() for o in os} | {
        o[4] for os in index["objects"].values() for o in os}
    names = {n for s in api.sources(ROOT) for n in s.public}
    assert names <= objects
    assert len(searched(ROOT)) > len(names) + 100


def test_it_is_small_and_says_where_it_is(site):
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) < 30e6
    assert "04_losses.html</loc>" in (site/"sitemap.xml").read_text(encoding="utf-8")


def test_buttons_open_the_notebook_that_the_page_shows(pages):
    for name, path in (("04_losses.html", "nbs/04_losses.ipynb"), ("exercises/04_losses.html", "exercises/04_losses.ipynb")):
        assert [link for link in pages[name].links if re.search(rf"colab.*/blob/main/{path}$", link)]
        assert [link for link in pages[name].links if re.search(rf"kaggle.*/blob/main/{path}$", link)]


def test_no_machinery_is_shown(site):
    for path in lessons(ROOT):
        html = (site/f"{path.stem}.html").read_text(encoding="utf-8")
        assert "default_exp" not in html and "#| " not in html and "widget-view" not in html, path.stem


def test_tables_and_formulas_that_a_cell_printed_are_tables_and_formulas(site):
    for name in ("glossary.html", "notes.html"):
        html = (site/name).read_text(encoding="utf-8")
        assert "<table" in html and not re.search(r"^\|? ?-{3}\||^\| <strong>|\$[^$<\n]+\$", html, re.M), name
    assert 'class="math' in (site/"glossary.html").read_text(encoding="utf-8")


def test_widgets_stand_in_their_chapters(site):
    asked = {(p.stem, fact(c, "widget")) for p in lessons(ROOT) for c in nbformat.read(p, 4).cells if fact(c, "widget")}
    assert {w for _, w in asked} == set(json.loads((ROOT/"site"/"widgets"/"words.json").read_text(encoding="utf-8")))
    for name, widget in asked:
        html = (site/f"{name}.html").read_text(encoding="utf-8")
        assert f'data-widget="{widget}"' in html and (site/"_static"/f"widget-{widget}.svg").exists()


def test_what_the_widgets_compute_is_what_the_library_says():
    "The widgets' own tests compare with this file"
    reference = json.loads((ROOT/"site"/"widgets"/"reference.json").read_text(encoding="utf-8"))
    for case in reference["softmax"]:
        got = softmax(torch.tensor(case["logits"], dtype=torch.float64)/case["temperature"], -1)
        torch.testing.assert_close(got, torch.tensor(case["probabilities"], dtype=torch.float64))
    for case in reference["curves"]:
        rates, losses = (torch.tensor(case[k], dtype=torch.float64) for k in ("rates", "losses"))
        torch.testing.assert_close(lr_sweep(num_it=len(rates)), rates)
        smooth = moving_average(losses, case["beta"])
        torch.testing.assert_close(smooth, torch.tensor(case["smooth"], dtype=torch.float64))
        for rule in (minimum, steep, valley, slide): assert rule(rates, smooth) == pytest.approx(case[rule.__name__])


@pytest.mark.parametrize("said, shown", [
    ('It is <span data-value="x:.2f">0.50</span> here.', "It is 0.50 here."),
    ('A <dfn title="logit">logits</dfn>', "A <dfn>logits</dfn>"),
])
def test_prose_is_plain_where_the_notebook_computed_it(said, shown): assert prose(said) == shown


def test_results_without_a_title_are_called_after_their_file(tmp_path, course):
    (tmp_path/"results").mkdir()
    (tmp_path/"results"/"lr_cost.md").write_text("2026, a machine\n", encoding="utf-8")
    assert benchmark(tmp_path/"results"/"lr_cost.md", course).startswith("# Lr cost\n\n2026")


def test_code_loses_its_directives(): assert bare("#| export\n#| cuda\nx = 1\n") == "x = 1"


def test_a_table_loses_its_own_looks():
    assert table('<style scoped>a</style><table border="1"><tr style="text-align: right;"><th></th>') == "<table><tr><td></td>"


@pytest.mark.parametrize("link, place", [
    ("04_losses.ipynb#softmax", "../04_losses.ipynb#softmax"),
    ("lib/05_lr_finder_curve.ipynb", "../api/lr_finder.md"),
    ("../benchmarks/results/losses.md", "../benchmarks/losses.md"),
    ("../CONTRIBUTING.md", "/blob/main/CONTRIBUTING.md"),
])
def test_links_lead_to_the_page_that_shows_what_they_mean(link, place, course):
    text = course.relink(f"[x]({link})", ROOT/"nbs", 1)
    assert text.startswith("[x](") and text.endswith(f"{place})")


def test_an_entry_says_types_defaults_errors_and_source(tmp_path):
    (tmp_path/"course_lib").mkdir()
    (tmp_path/"nbs"/"lib").mkdir(parents=True)
    (tmp_path/"course_lib"/"thing.py").write_text(
        '"""What it is for."""\n__all__ = ["half"]\n\ndef _refuse(n: int) -> None:\n    raise ValueError(f"n is {n}")\n\n'
        'def half(\n    n: int, # how many\n    *,\n    by: "int | None" = None, # what to divide by\n) -> float: # the half\n'
        '    "Half of `n`."\n    _refuse(n)\n    raise TypeError("no")\n', encoding="utf-8")
    library = api.Library(tmp_path, "https://host")
    text = library.page("thing", library.packages()["thing"])
    assert "{py:function} half(n, *, by=None) -> float" in text
    assert "| `by` | what to divide by | `int \\| None` | `None` |" in text
    assert "**Returns** the half" in text
    assert "- `TypeError`: no" in text and "- `ValueError`: n is …" in text
    assert "https://host/blob/main/course_lib/thing.py#L7-L14" in text
    assert library.names() == ["course_lib.thing.half"]
