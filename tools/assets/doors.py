"""Take the pictures of lesson 14's doors in Chromium, with a drawn pet: the page, the page on a phone after its server
was stopped, and the app of a Space's folder.

    python -m tools.assets.doors [--network FOLDER]

writes `nbs/images/14_page.png`, `14_phone.png` and `14_space.png`. Needs Node, Chromium, the extra `deploy` and what
`web/package-lock.json` names; `--network` takes what `tools.build.web_model` wrote, else one is trained.
"""
import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from course_lib.deploy import space
from tests.deploy.serving import started
from tools.build.web_model import train, write
from tools.notebooks import ROOT
from tools.site_check import BROWSERS

COLOURS = 96  # of a stored picture


def take(network: Path, made: Path, into: Path) -> None:
    "Let the browser look at the page around a network, and at a Space's app"
    npm, browser = shutil.which("npm"), next(filter(None, map(shutil.which, BROWSERS)), None)
    if not (npm and browser): raise SystemExit("Chromium or npm is missing")
    picture = sorted((network/"pictures").glob("beagle_*.jpg"))[0]
    with started(str(made/"app.py"), folder=made.parent/"of app", PYTHONPATH="") as (address, _):
        subprocess.run([npm, "run", "doors"], cwd=ROOT/"web", check=True, stdin=subprocess.DEVNULL, env=os.environ | {
            "DOORS": str(into), "SPACE": address, "PICTURE": str(picture), "MODEL": str(network.resolve()),
            "CHROMIUM": browser})
    for file in into.glob("14_*.png"):
        Image.open(file).convert("RGB").quantize(COLOURS).save(ROOT/"nbs"/"images"/file.name, optimize=True)


def main() -> None:
    "Read the command"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=Path, metavar="FOLDER", help="what tools.build.web_model wrote")
    network = parser.parse_args().network
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        learn = train() if network else write(folder/"model", 24)
        network = network or folder/"model"
        made = space(folder/"space", learn, title="Which breed is it?",
                     use="It names the breed of a cat or a dog that the course has drawn.",
                     limits="It has never seen a photograph. Do not use it for animals that live.")
        (folder/"pictures").mkdir()
        take(network, made, folder/"pictures")


if __name__ == "__main__": main()
