"""Masks on real pictures: pets from few trimaps, judged on pets that nobody looked at before, and street scenes.

    python -m benchmarks.segmentation [--seeds 3] [--epochs 6] [--streets 0] [--rounds 9]

Needs COURSE_LIB_DATA with `oxford-iiit-pet` (its trimaps train), `oxford-iiit-pet-extra` (its trimaps judge),
`weights` and, for `--streets EPOCHS`, `camvid_tiny`. The border of a trimap counts for nothing. Where
segmentation-models-pytorch is installed, its Unet on the same body is trained and judged in the same loop, and timed
beside ours, step by step in turn. The widths of the way up were chosen by the time of a step, and nothing by the
pictures that judge.
"""
import argparse
import importlib.util
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from benchmarks.harness import interleaved, machine, median, ratio, write
from course_lib.core import mean_ci, seed_everything
from course_lib.data import get
from course_lib.fine_tuning import backbone
from course_lib.foundations import Batches, Dataset, Learner, OneCycle
from course_lib.losses import cross_entropy
from course_lib.segmentation import Confusion, UNet
from course_lib.tricks import tta, views

SIDE, LARGER, VOID, BATCH = 96, 108, 255, 8  # pixels as seen, and as stored for training
BODY, HEAD = 5e-4, 4e-3  # highest rates
NARROW, WIDE = (48, 24, 16, 8), (128, 64, 32, 16)  # channels on the way up: for two classes, and for many
pixel_loss = partial(cross_entropy, ignore_index=VOID)


def ours(n_out: int) -> nn.Module:
    "Our U-Net on MobileNetV2 with ImageNet's weights, up to its last block: the rest is for a classifier"
    body = backbone("mobilenetv2_100", "imagenet")
    body.model.conv_head, body.model.bn2 = nn.Identity(), nn.Identity()
    return UNet(body, NARROW if n_out == 2 else WIDE, n_out)


def cut(n_out: int) -> nn.Module:
    "The same, its skips multiplied by zero"
    net = ours(n_out)
    for step in net.steps: step.register_forward_pre_hook(lambda module, args: (args[0], 0*args[1]))
    return net


def peer(n_out: int) -> nn.Module:
    "segmentation-models-pytorch's Unet on torchvision's layout of the same weights"
    import segmentation_models_pytorch as smp
    net = smp.Unet("mobilenet_v2", encoder_weights=None, classes=n_out)
    body = backbone("mobilenet_v2", "imagenet")
    net.encoder.features.load_state_dict(dict(body.state_dict()) if hasattr(body, "features") else
                                         {k.removeprefix("0."): v for k, v in body.state_dict().items()})
    return net


def pair(picture: Path, mask: Path, side: int, labels: Tensor) -> tuple[Tensor, Tensor]:
    "The middle square of a picture [3, side, side], and its labels"
    with Image.open(picture) as im: seen = ImageOps.fit(im.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
    with Image.open(mask) as im: numbers = np.array(ImageOps.fit(im, (side, side), Image.Resampling.NEAREST))
    return torch.from_numpy(np.array(seen)).permute(2, 0, 1), labels[torch.from_numpy(numbers).long()]


def normalised(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    "Pictures as ImageNet's bodies expect them, and labels"
    mean, std = (torch.tensor(s)[:, None, None] for s in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (torch.stack([p for p, _ in pairs])/255 - mean)/std, torch.stack([t for _, t in pairs])


def pets(name: str, side: int) -> tuple[Tensor, Tensor]:
    "All pictures of a set that have a trimap"
    folder, labels = get(name), torch.tensor([VOID, 1, 0, VOID])
    files = sorted((folder/"annotations"/"trimaps").glob("[!.]*.png"))
    return normalised([pair(folder/"images"/f"{f.stem}.jpg", f, side, labels) for f in files])


def streets() -> tuple[Tensor, Tensor, int]:
    "CamVid's hundred small scenes, their labels with Void ignored, and how many classes there are"
    folder = get("camvid_tiny")
    codes = (folder/"codes.txt").read_text().split()
    labels = torch.tensor([VOID if c == "Void" else i for i, c in enumerate(codes)])
    both = []
    for f in sorted((folder/"images").glob("*.png")):
        with Image.open(f) as im: seen = torch.from_numpy(np.array(im.convert("RGB"))).permute(2, 0, 1)
        with Image.open(folder/"labels"/f"{f.stem}_P.png") as im: numbers = torch.from_numpy(np.array(im)).long()
        both.append((seen, labels[numbers]))
    return *normalised(both), len(codes)


class Moved(Batches):
    "Batches of random crops, half of them mirrored; pictures and masks alike"
    def __init__(self, data: Dataset, size: tuple[int, int], generator: torch.Generator) -> None:
        super().__init__(data, BATCH, shuffle=True, generator=generator)
        self.size = size

    def __iter__(self):
        for x, y in super().__iter__():
            drawn = torch.rand(3, generator=self.generator)
            top, left = (int(d*(n - s + 1)) for d, n, s in zip(drawn[:2], x.shape[-2:], self.size))
            x, y = (t[..., top:top + self.size[0], left:left + self.size[1]] for t in (x, y))
            yield (x.flip(-1), y.flip(-1)) if drawn[2] < 0.5 else (x, y)


def optimizer(net: nn.Module) -> torch.optim.Optimizer:
    "AdamW, the body at a lower rate than the rest"
    body = {id(p) for p in net.encoder.parameters()}
    groups = [[p for p in net.parameters() if (id(p) in body) == inside] for inside in (True, False)]
    return torch.optim.AdamW([{"params": g, "lr": lr} for g, lr in zip(groups, (BODY, HEAD))], weight_decay=0.01)


def trained(make, data: Dataset, size: tuple[int, int], epochs: int, seed: int) -> nn.Module:
    "A network after training: its body at a lower rate than the rest"
    gen = seed_everything(seed)
    net = make()
    def opt(parameters, lr: float) -> torch.optim.Optimizer: return optimizer(net)
    few = Dataset(data.xs[:2], data.ys[:2])  # the Learner wants something to judge; the judging is done below
    Learner(Moved(data, size, gen), Batches(few, 2), net, pixel_loss, opt, callbacks=[OneCycle()]).fit(epochs, HEAD)
    return net.eval()


def judged(net: nn.Module, x: Tensor, y: Tensor, classes: int, mirrored: bool = False) -> Confusion:
    "What the network finds on the pictures, counted"
    table, device = Confusion(classes, VOID), next(net.parameters()).device
    for some, labels in zip(x.split(25), y.split(25)):
        with torch.no_grad():
            out = tta(net, some.to(device), views(), "maps") if mirrored else net(some.to(device))
        table.update(out.cpu(), labels)
    return table


def mean_mask(y: Tensor) -> Confusion:
    "What one mask for all pictures finds: pet where more than half of the trimaps to learn from have it"
    learned = pets("oxford-iiit-pet", SIDE)[1]
    often = (learned == 1).sum(0)/(learned != VOID).sum(0)
    table = Confusion(2, VOID)
    table.update((often > 0.5).long().expand_as(y).contiguous(), y)
    return table


def millions(net: nn.Module) -> float: return sum(p.numel() for p in net.parameters())/1e6


def step_times(rounds: int) -> str:
    "A line on a training step of ours and the peer's"
    x, y = torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(2, (BATCH, SIDE, SIDE))
    nets = {"ours": ours(2).train(), "peer": peer(2).train()}
    opts = {k: optimizer(net) for k, net in nets.items()}
    def forth_and_back(which: str) -> None:
        opts[which].zero_grad()
        pixel_loss(nets[which](x), y).backward()
    def step(which: str) -> None:
        forth_and_back(which)
        opts[which].step()
    said = []
    for name, fn in {"with the optimizer's part": step, "forward and backward alone": forth_and_back}.items():
        took = interleaved({k: partial(fn, k) for k in nets}, rounds, clock=time.process_time)
        share = ratio(took["ours"], took["peer"])
        said.append(f"{name}, {median(took['ours']):.3f} s and {median(took['peer']):.3f} s, ours over smp's round by "
                    f"round {share.value:.2f} [{share.low:.2f}, {share.high:.2f}]")
    return (f"A training step ({BATCH} pictures of {SIDE} pixels, CPU seconds on one thread), ours with "
            f"{millions(nets['ours']):.1f} M parameters and smp's Unet with {millions(nets['peer']):.1f} M: "
            + "; ".join(said) + ".")


def on_pets(seeds: int, epochs: int, with_peer: bool) -> tuple[list[dict], str]:
    "Rows for each seed, and what they say together"
    data, (x, y) = Dataset(*pets("oxford-iiit-pet", LARGER)), pets("oxford-iiit-pet-extra", SIDE)
    rows, blob = [], mean_mask(y)
    for seed in range(seeds):
        net = trained(partial(ours, 2), data, (SIDE, SIDE), epochs, seed)
        plain, mirrored = (judged(net, x, y, 2, m) for m in (False, True))
        rows.append({"seed": seed, "IoU of pet": plain.iou().per_class[1].item(),
                     "mirrored too": mirrored.iou().per_class[1].item(), "mean IoU": plain.iou().mean,
                     "right pixels": plain.accuracy().overall, "IoU, mean mask": blob.iou().per_class[1].item()})
        for name, make in {"skips cut": cut, **({"smp's Unet": peer} if with_peer else {})}.items():
            net = trained(partial(make, 2), data, (SIDE, SIDE), epochs, seed)
            rows[-1][f"IoU, {name}"] = judged(net, x, y, 2).iou().per_class[1].item()
        print(rows[-1], flush=True)
    lazy = Confusion(2, VOID)
    lazy.update(torch.zeros_like(y), y)
    tail = (f"{len(data)} trimaps to learn from, {len(y)} others to judge by, by which nothing was chosen. "
            f"To call every pixel background gets {lazy.accuracy().overall:.1%} of the pixels right, and an IoU "
            f"of {lazy.iou().per_class[1].item():.0f}. The mean mask, a pixel pet where it was in more than half of "
            f"the trimaps to learn from, whatever is shown: {blob.accuracy().overall:.1%} and "
            f"{blob.iou().per_class[1].item():.3f}.")
    if seeds > 1:
        columns = {name: [r[name] for r in rows] for name in rows[0]}
        ours_, iou = columns["IoU of pet"], mean_ci(columns["IoU of pet"])
        tail += f"\n\nIoU of pet over the seeds: {iou.value:.3f} [{iou.low:.3f}, {iou.high:.3f}]. Seed by seed, "
        pairs = {"the mirror image, its answer turned back, changes it by": (columns["mirrored too"], ours_),
                 "the skips by": (ours_, columns["IoU, skips cut"])}
        if with_peer: pairs["and ours less smp's Unet is"] = ours_, columns["IoU, smp's Unet"]
        gaps = {words: mean_ci(*pair) for words, pair in pairs.items()}
        tail += ", ".join(f"{words} {e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]" for words, e in gaps.items()) + "."
    return rows, tail


def on_streets(epochs: int, with_peer: bool) -> str:
    "A line on each network trained on CamVid's scenes, one seed"
    x, y, classes = streets()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    learn, judge = order[:80], order[80:]
    data, said = Dataset(x[learn], y[learn]), []
    for name, make in {"ours": ours, **({"smp's Unet": peer} if with_peer else {})}.items():
        table = judged(trained(partial(make, classes), data, (96, 128), epochs, 0), x[judge], y[judge], classes)
        said.append(f"{name}: mean IoU {table.iou().mean:.3f}, right pixels {table.accuracy().overall:.1%}")
        print(said[-1], flush=True)
    return (f"CamVid's small scenes, {len(learn)} to learn from and {len(judge)} to judge by, {classes - 1} classes "
            f"and Void ignored, {epochs} epochs, one seed: " + "; ".join(said) + ".")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--streets", type=int, default=0, help="epochs on CamVid's scenes; 0 leaves them out")
    parser.add_argument("--rounds", type=int, default=21, help="of the timing of a step")
    args = parser.parse_args()
    has_peer = importlib.util.find_spec("segmentation_models_pytorch") is not None
    rows, tail = on_pets(args.seeds, args.epochs, has_peer)
    if has_peer: tail += "\n\n" + step_times(args.rounds)
    if args.streets: tail += "\n\n" + on_streets(args.streets, has_peer)
    head = f"""# Masks on real pictures

{machine(*(["segmentation-models-pytorch"] if has_peer else []))}

`UNet` on MobileNetV2 with ImageNet's weights, up to its last block, with {NARROW} channels on the way up ({WIDE} for
the streets). The middle square of each photograph at {SIDE} pixels, {args.epochs} epochs of AdamW with one cycle up to
{HEAD} (the body: {BODY}), random crops and mirror images, cross-entropy with the border of the trimaps ignored. A row
is a seed: another start of the way up, another order."""
    write("segmentation", head, rows, tail)


if __name__ == "__main__": main()
