"""Draw the card that other sites show beside a link to the course: `python -m tools.assets.social_card`."""
import matplotlib.pyplot as plt
import torch
from PIL import Image

from course_lib.core import use_style
from course_lib.data import get
from course_lib.losses import cross_entropy
from tools.notebooks import ROOT


def draw() -> plt.Figure:
    "Six drawn pets, a loss that falls, and what the course is; 1200 x 630 pixels at 100 dots an inch"
    use_style()
    images = sorted((get("pets", quiet=True)/"images").glob("*.jpg"))
    breeds = {p.name.rsplit("_", 1)[0]: p for p in images}
    fig = plt.figure(figsize=(12, 6.3), facecolor="white", layout="none")
    fig.text(.05, .84, "course_lib", fontsize=46, fontweight="bold", color="#00567f")
    said = "Deep learning with PyTorch and fastai, in notebooks\nthat are the lesson, the library and its tests"
    fig.text(.05, .74, said, fontsize=21, va="top", linespacing=1.4, color="#222b33")
    for i, path in enumerate(list(breeds.values())[:6]):
        ax = fig.add_axes((.05 + .15*(i % 3), .31 - .27*(i//3), .14, .26))
        ax.imshow(Image.open(path).resize((240, 240)))
        ax.axis("off")
    ax = fig.add_axes((.60, .12, .35, .40))
    p = torch.linspace(.02, 1, 99)
    ax.plot(p, [cross_entropy(torch.stack([q, 1 - q]).log()[None], torch.tensor([0])) for q in p], lw=3)
    ax.set(xlabel="probability of the right class", ylabel="cross-entropy (nats)", title="What a wrong guess costs")
    return fig


def main() -> None:
    "Write the card with 256 colours, which makes it a third as large"
    path = ROOT/"site"/"static"/"card.png"
    fig = draw()
    with plt.rc_context({"savefig.bbox": None}): fig.savefig(path, dpi=100)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__": main()
