"""Write README.md from nbs/index.ipynb: outputs kept, code shown unless its cell says `#| echo: false` or `#| hide`."""
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config

from tools.notebooks import ROOT, fact


def readme(root: Path) -> tuple[str, dict[str, bytes]]:
    "The text of the README and the pictures it shows, by file name"
    nb = nbformat.read(root/"nbs"/"index.ipynb", 4)
    nb.cells = [c for c in nb.cells if "#| hide" not in c.source.splitlines()[:1]]
    alts = []
    for c in nb.cells:
        if c.cell_type != "code": continue
        if any("image/png" in o.get("data", {}) for o in c.outputs): alts.append(fact(c, "alt"))
        if "#| echo: false" in c.source: c.outputs = [o for o in c.outputs if o.output_type != "stream"]
        for o in c.outputs: o.get("data", {}).pop("text/plain", None) if len(o.get("data", {})) > 1 else None
        if "#| echo: false" in c.source: c.metadata["tags"] = ["hide-input"]
    nb.metadata["language_info"] = {"name": "python"}
    remove = {"enabled": True, "remove_input_tags": {"hide-input"}}
    exporter = MarkdownExporter(config=Config(TagRemovePreprocessor=remove))
    text, resources = exporter.from_notebook_node(nb)
    for (name, _), alt in zip(resources["outputs"].items(), alts):
        text = re.sub(rf"!\[[^\]]*\]\({re.escape(name)}\)", f"![{alt}](nbs/images/{name})", text)
    text = re.sub(r"\]\((\w+\.ipynb)\)", r"](nbs/\1)", text).replace("](../", "](")
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return f"<!-- written from nbs/index.ipynb by tools/build/readme.py -->\n\n{text}\n", resources["outputs"]


if __name__ == "__main__":
    text, pictures = readme(ROOT)
    (ROOT/"nbs"/"images").mkdir(exist_ok=True)
    for name, data in pictures.items(): (ROOT/"nbs"/"images"/name).write_bytes(data)
    (ROOT/"README.md").write_text(text, encoding="utf-8")
