"""How Sphinx makes the site from `_site/source`; `python course.py site` calls it. Everything it serves is its own."""
import functools
import importlib.util
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

from docutils import nodes
from sphinx.search.en import SearchEnglish

ROOT = Path(__file__).resolve().parent.parent
_settings = ConfigParser(delimiters=["="])
_settings.read(ROOT/"settings.ini", encoding="utf-8")
_facts = _settings["DEFAULT"]
_links = dict(re.findall(r'^(\w+) = "(https:.+)"', (ROOT/"pyproject.toml").read_text(encoding="utf-8"), re.M))
REPOSITORY = _links["Repository"]

project, author = _facts["name"], _facts["author"]
copyright = f"{author}, {_facts['license']}"
extensions = ["myst_nb", "sphinx.ext.mathjax"]
exclude_patterns = ["_pictures", "_plain"]
suppress_warnings = ["mystnb.unknown_mime_type"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_number_source_lines = False
nb_render_markdown_format = "myst"  # formulas in what a cell printed, too
nb_mime_priority_overrides = [("html", "text/html", 0)]
nb_code_prompt_show = "Show code"
nb_code_prompt_hide = "Hide code"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
add_module_names = False
toc_object_entries_show_parents = "hide"
smartquotes = False

html_theme = "sphinx_book_theme"
html_title = project
html_baseurl = _links["Documentation"].rstrip("/") + "/"
html_static_path = ["static"]
html_css_files = ["course.css"]
html_js_files = [("widgets.js", {"defer": "defer"})]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_use_index = False  # the search and the API pages have every name
html_show_sphinx = False
html_last_updated_fmt = None
templates_path = ["templates"]
html_context = {"default_mode": "auto", "home": "/" + html_baseurl.split("/", 3)[3]}
html_additional_pages = {"404": "404.html"}
html_theme_options = {
    "repository_url": REPOSITORY, "use_repository_button": True, "use_download_button": False,
    "use_fullscreen_button": False, "home_page_in_toc": False, "show_toc_level": 2, "navigation_with_keys": False,
    "logo": {"text": project}, "navbar_persistent": [], "collapse_navbar": True,
    "article_header_end": ["article-header-buttons.html"],
    "pygments_light_style": "a11y-high-contrast-light", "pygments_dark_style": "a11y-high-contrast-dark",
}
SearchEnglish.stem = functools.cache(SearchEnglish.stem)  # most words stand on most pages

mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}


def notebook_of(page: str) -> str:
    "The notebook in the repository that a page shows; nothing for other pages"
    folder, _, name = page.rpartition("/")
    path = f"{folder or 'nbs'}/{name}.ipynb"
    return path if (ROOT/path).exists() else ""


def launch(app, page, template, context, doctree) -> None:
    "Buttons that open the page's notebook where it can be run"
    if not (path := notebook_of(page)) or "header_buttons" not in context: return
    blob = f"{REPOSITORY.removeprefix('https://github.com/')}/blob/main/{path}"
    places = [("Colab", f"https://colab.research.google.com/github/{blob}"),
              ("Kaggle", f"https://kaggle.com/kernels/welcome?src=https://github.com/{blob}")]
    buttons = [{"type": "link", "text": name, "tooltip": f"Open in {name}", "url": url, "icon": "fas fa-play"}
               for name, url in places]
    context["header_buttons"].insert(0, {"type": "group", "tooltip": "Run this notebook", "label":
                                         "launch-buttons", "icon": "fas fa-rocket", "buttons": buttons})


def social(app, page, template, context, doctree) -> None:
    "What other sites show of a page that is linked to"
    if doctree is None: return
    said = next((n for kind in (nodes.block_quote, nodes.paragraph) for n in doctree.findall(kind)), None)
    text = " ".join(said.astext().split())[:300] if said else _facts["description"]
    name = re.sub(r"<[^>]+>", "", context.get("title", project))
    facts = {"og:title": name, "og:description": text, "og:type": "article", "og:site_name": project,
             "og:url": context["pageurl"] or "", "og:image": f"{html_baseurl}_static/card.png",
             "twitter:card": "summary_large_image"}
    tags = [f'<meta property="{k}" content="{quoted(v)}">' for k, v in facts.items()]
    context["metatags"] += "\n".join([f'<meta name="description" content="{quoted(text)}">', *tags])


def quoted(text: str) -> str:
    "Text for an attribute"
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def finish(app, error) -> None:
    "The map of the site, and the few files of MathJax that its formulas need"
    if error: return
    out = Path(app.outdir)
    pages = sorted(d for d in app.env.found_docs)
    urls = "".join(f"<url><loc>{html_baseurl}{app.builder.get_target_uri(d)}</loc></url>\n" for d in pages)
    (out/"sitemap.xml").write_text('<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/'
                                   f'schemas/sitemap/0.9">\n{urls}</urlset>\n', encoding="utf-8")
    package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent/"static"/"mathjax"
    for name in ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"):
        copy = shutil.copytree if (package/name).is_dir() else shutil.copy
        (out/"_static"/"mathjax"/name).parent.mkdir(parents=True, exist_ok=True)
        copy(package/name, out/"_static"/"mathjax"/name)
    for unused in (*out.rglob("*.map"), out/"_static"/"scripts"/"fontawesome.js"): unused.unlink()
    for page in out.rglob("*.html"):
        page.write_text(lighter(named(page.read_text(encoding="utf-8"))), encoding="utf-8")


def named(html: str) -> str:
    "A page whose controls are called what they show: themes name some of them otherwise, or not at all"
    html = html.replace('title="Search" aria-label="Search"', 'title="Search"')
    html = html.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    toggle = '<span class="toctree-toggle'
    return html.replace(f"<summary>{toggle}", f'<summary aria-label="Its pages">{toggle}')


def lighter(html: str) -> str:
    "A page without the icons as a script: the theme's style sheet has them as fonts, at half a megabyte less"
    return re.sub(r'<script[^>]*/fontawesome\.js[^>]*></script>', "", html)


def prepared(app, config) -> None:
    "What the preparation wrote beside the pages: the pictures of the cards, and what the modules' docstrings link to"
    config.html_static_path.append(str(app.srcdir/"_pictures"))
    config.html_extra_path.append(str(app.srcdir/"_plain"))


def setup(app) -> None:
    "Called by Sphinx"
    app.connect("config-inited", prepared)
    app.connect("html-page-context", launch, priority=900)
    app.connect("html-page-context", social, priority=900)
    app.connect("build-finished", finish)
