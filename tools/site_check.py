"""Look at the built site in a browser: `python -m tools.site_check [--built] [--pictures FOLDER] [--all] [PAGE...]`.

Every page at 1280 pixels, light, or at 375, dark (lessons in both; with `--all` every page at both widths, light and
dark): requests to other hosts, errors, formulas that are not typeset, accessibility (axe), width, weight; and whether
the search finds every public name and every word of the glossary. `--built` takes the site as it stands. Needs
Chromium, Node and what `site/package-lock.json` names. Where one of them is missing it says so and ends with 0.
"""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from tools.build.api import sources
from tools.build.site import build
from tools.gates import prose
from tools.notebooks import ROOT, chapters

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def searched(root: Path) -> list[str]:
    "Every public name and every word of the glossary"
    names = {n for s in sources(root) for n in s.public}
    return sorted(names | {term for p in chapters(root) for term in prose.definitions(nbformat.read(p, 4))})


def widgets_hold(site: Path, npm: str) -> bool:
    "Do the widgets' own tests pass, and is what stands in the site's files built from them?"
    made = [*sorted((site/"static").glob("widget*")), site/"widgets"/"words.json"]
    before = [p.read_bytes() for p in made]
    if any(subprocess.call([npm, "run", "--silent", task], cwd=site) for task in ("test", "build")): return False
    stale = [p.name for p, old in zip(made, before) if p.read_bytes() != old]
    if stale: print(f"site/widgets gives another {', '.join(stale)} than was committed: commit these.")
    return not stale


def main() -> int:
    "1 if a page has a fault, 3 if the browser gave up before the end"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (browser and node and npm):
        missing = [n for n, p in (("Chromium", browser), ("Node", node), ("npm", npm)) if not p]
        print(f"The pages were not looked at in a browser: {' and '.join(missing)} missing.")
        return 0
    site, out = ROOT/"site", ROOT/"_site"
    if not (site/"node_modules").exists() and subprocess.call([npm, "ci", "--silent"], cwd=site):
        print("The pages were not looked at in a browser: npm could not install what site/package-lock.json names.")
        return 0
    wanted = [a for a in sys.argv[1:] if a != "--built"]
    if not widgets_hold(site, npm) or ("--built" not in sys.argv and build(ROOT, out)): return 1
    (out/"words.json").write_text(json.dumps(searched(ROOT)), encoding="utf-8")
    command = [node, str(site/"check.mjs"), str(out/"html"), browser, str(out/"words.json")]
    return subprocess.call([*command, *wanted])


if __name__ == "__main__": sys.exit(main())
