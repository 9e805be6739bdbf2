"""The page in web/ beside Python: does it say the same of the same files, how fast, and how much does it weigh?

    python -m benchmarks.web [--pictures 200] [--network FOLDER]

Files of three groups are asked about in Chromium (by the built page) and here (by Pillow and onnxruntime): drawn pets
that nothing was trained on, photographs of pets (with COURSE_LIB_DATA), and 20 drawn pets as each kind of file that a
page may be given. The rival is what a page does that leaves the shrinking to a canvas, at each of its three qualities.
Needs Node, Chromium and the extra `deploy`; `--network` takes what `tools.build.web_model` wrote, and trains nothing.
"""
import argparse
import io
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from benchmarks.harness import machine, median, write
from course_lib.data import draw_pets, get
from course_lib.deploy import Answers, open_picture, to_square
from tools.build.web_model import write as write_network
from tools.notebooks import ROOT
from tools.site_check import BROWSERS

EACH = 20  # pictures of each kind of file
WEB = ROOT/"web"


def saved(image: Image.Image, kind: str, **options) -> bytes:
    "A picture as the bytes of a file"
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    "A JPEG that lies as a camera held otherwise stores it"
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, "JPEG", quality=92, exif=exif)


def round_hole(image: Image.Image) -> Image.Image:
    "The picture fading out towards its corners"
    y, x = np.ogrid[:image.height, :image.width]
    far = np.hypot((y/image.height - 0.5)*2, (x/image.width - 0.5)*2)
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray((255*np.clip(1.6 - far*1.2, 0, 1)).astype(np.uint8)))
    return image


def deep(image: Image.Image) -> bytes:
    "A grey PNG of 16 bits"
    return saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16)*257), "PNG")


def swapped_profile() -> bytes:
    "sRGB with red and green exchanged: whoever applies it sees another picture"
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"?XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"?XYZ", b"gXYZ", 1)


KINDS: dict[str, Callable[[Image.Image, int], bytes]] = {
    "JPEG, quality 30": lambda im, i: saved(im, "JPEG", quality=30),
    "JPEG, progressive, 4:4:4": lambda im, i: saved(im, "JPEG", quality=95, subsampling=0, progressive=True),
    "JPEG, grey": lambda im, i: saved(im.convert("L"), "JPEG", quality=90),
    "JPEG, CMYK": lambda im, i: saved(im.convert("CMYK"), "JPEG", quality=95),
    "JPEG, 12 million pixels": lambda im, i: saved(ImageOps.fit(im, (4000, 3000), Image.Resampling.BICUBIC), "JPEG"),
    "JPEG, turned by its camera": lambda im, i: turned(im, 1 + i % 8),
    "JPEG, red and green exchanged by a profile": lambda im, i: saved(im, "JPEG", quality=92,
                                                                      icc_profile=swapped_profile()),
    "PNG": lambda im, i: saved(im, "PNG"),
    "PNG, transparent": lambda im, i: saved(round_hole(im), "PNG"),
    "PNG, 64 colours": lambda im, i: saved(im.quantize(64), "PNG"),
    "PNG, grey, 16 bits": lambda im, i: deep(im),
    "WebP": lambda im, i: saved(im, "WEBP", quality=80),
    "WebP, lossless, transparent": lambda im, i: saved(round_hole(im), "WEBP", lossless=True),
    "GIF": lambda im, i: saved(im, "GIF"),
    "BMP": lambda im, i: saved(im, "BMP"),
    "tiny JPEG, 40 pixels": lambda im, i: saved(ImageOps.fit(im, (40, 40)), "JPEG", quality=90),
}


def drawn(folder: Path, n: int, seed: int) -> list[Path]:
    "New drawn pets, 12 breeds in turn"
    pets = draw_pets(folder, n_per_breed=-(-n//12), seed=seed, label_errors=0, near_duplicates=0)
    return sorted((pets/"images").glob("*.jpg"), key=lambda f: (int(f.stem.rpartition("_")[2]), f.stem))[:n]


def photographs(n: int) -> list[Path]:
    "Photographs of pets, drawn from all of them; none without real data"
    if not os.environ.get("COURSE_LIB_DATA"): return []
    files = sorted((get("oxford-iiit-pet", quiet=True)/"images").glob("*.jpg"))
    return random.Random(0).sample(files, n)


def of_each_kind(pets: list[bytes]) -> list[tuple[str, bytes]]:
    "Drawn pets as every kind of file, each with its kind"
    return [(kind, made(Image.open(io.BytesIO(data)).convert("RGB"), i))
            for kind, made in KINDS.items() for i, data in enumerate(pets)]


def files(n: int, folder: Path) -> list[tuple[str, bytes]]:
    "All files to ask about, each with its group"
    pets = [f.read_bytes() for f in drawn(folder/"pets", n, seed=11)]
    found = [("drawn pets, JPEG", data) for data in pets]
    found += [("photographs of pets, JPEG", f.read_bytes()) for f in photographs(n)]
    return found + of_each_kind(pets[:EACH])


def write_cases(given: list[tuple[str, bytes]], answers: Answers, folder: Path) -> None:
    "The files with what is said of them here, for tests/compare.test.ts"
    cases = []
    for i, (group, data) in enumerate(given):
        square = to_square(open_picture(data), answers.size)
        (folder/f"{i}.file").write_bytes(data)
        (folder/f"{i}.rgb").write_bytes(square.tobytes())
        cases.append({"group": group, "file": f"{i}.file", "rgb": f"{i}.rgb",
                      "rival": group.endswith("pets, JPEG"),
                      "probabilities": answers.probabilities(square[None])[0].tolist()})
    (folder/"cases.json").write_text(json.dumps(cases), encoding="utf-8")


def compare(given: list[tuple[str, bytes]], network: Path, folder: Path, npm: str, browser: str) -> dict:
    "What the page says of the files beside what is said here: rows under `said`, and what the page weighs"
    write_cases(given, Answers(network/"model.onnx"), folder)
    subprocess.run([npm, "run", "compare"], cwd=WEB, check=True, stdin=subprocess.DEVNULL, env=os.environ | {
        "CASES": str(folder.resolve()), "MODEL": str(network.resolve()), "CHROMIUM": browser})
    return json.loads((folder/"compared.json").read_text(encoding="utf-8"))


def row(group: str, said: list[dict]) -> dict:
    "One group's figures as a row of the table"
    def alike(seen: list[dict]) -> str: return f"{sum(s['same'] for s in seen)} of {len(seen)}" if seen else "–"
    canvas = {q: [s["canvas"][q] for s in said if "canvas" in s] for q in ("low", "medium", "high")}
    return {"files": group, "named alike": alike(said),
            "pixels alike": f"{sum(s['equal'] for s in said)/len(said):.2%}",
            "farthest pixel": max(s["farthest"] for s in said),
            "farthest probability": f"{max(s['probability'] for s in said):.1e}",
            **{f"canvas, {quality}": alike(seen) for quality, seen in canvas.items()},
            "unpacked, ms": round(median([s["unpacking"] for s in said]), 1),
            "answered, ms": round(median([s["answering"] for s in said]), 1)}


def main() -> None:
    "Measure, and write results/web.md"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--network", type=Path)
    args = parser.parse_args()
    browser, npm = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("npm")
    if not browser or not npm: raise SystemExit("This needs Chromium, and Node with npm.")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        network = args.network or folder/"network"
        if not args.network: write_network(network, 24)
        if not (WEB/"node_modules").exists(): subprocess.run([npm, "ci"], cwd=WEB, check=True)
        found = compare(files(args.pictures, folder), network, folder, npm, browser)
    groups = list(dict.fromkeys(s["group"] for s in found["said"]))
    rows = [row(g, [s for s in found["said"] if s["group"] == g]) for g in groups]
    said, exact = found["said"], [s for s in found["said"] if s["equal"] == 1]
    took = [s["unpacking"] + s["answering"] for s in said]
    off = max((s["probability"] for s in exact), default=0)
    tail = f"""All files: {sum(s['same'] for s in said)} of {len(said)} named alike, {len(exact)} with the same pixels.
Of these no probability is farther than {off:.1e} from the one computed here.

Times are medians over a group, in a page that has answered before: a file is unpacked, cut and shrunk, then answered.
Half of all answers took {median(took):.0f} ms or less, unpacking included.

The whole page, network and WebAssembly included, is {found['weight']/1e6:.2f} MB as a server packs it (gzip)."""
    write("web", f"""# The page in the browser beside Python

{machine('onnxruntime', 'pillow')}; onnxruntime-web {found['onnxruntime']}, Chromium {found['chromium']}

The same files, asked in the built page and here: {len(said)} of them. "Pixels alike" is the share of the network's
64 × 64 × 3 numbers that are the same after unpacking and shrinking; "farthest" says how far the most different one is
off. The page shrinks by Pillow's rule; "canvas" is how many of the files it would name alike if it left that to a
canvas, at each of its qualities.""", rows, tail)


if __name__ == "__main__": main()
