"""Does a suggested rate hold on problems that nobody tuned on? Thirty small problems, half of them kept for the end.

`python -m benchmarks.lr_problems --half development` records, for every problem of that half, the curves of searches
and the validation losses of one-cycle runs at each rate of a grid: whole runs, these on the way, short runs on all
data, and short runs with the planned passes over a part of the data. It writes them into
results/lr_problems_development_curves.csv and _runs.csv and goes on where it was stopped; `benchmarks.lr_regret` judges
rules by these files without training. `--half final` is for the other half, to be read once, when all constants are
fixed. `--only NAME` records one problem, `--list` shows them. Needs COURSE_LIB_DATA.

The problems are spread over what readers meet: short and long training, much and little data, wrong labels, SGD with
momentum, Adam and AdamW with and without weight decay, batches of 16 to 1024, fully connected, convolutional,
recurrent and attention networks, embeddings, a frozen and a free body; classes, numbers, ratings and language. All
rates of a problem train side by side as one stack of networks, by the harness of `benchmarks.lr_stack`. Sizes and
steps were cut for cost before a run of the final half was read.
"""
import argparse
import io
import os
import random
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks import lr_stack
from benchmarks.harness import RESULTS
from course_lib.lr_finder import one_cycle

COIN = 20261126  # written down before anything was run; see `halves`
Data = tuple[Tensor, Tensor, Tensor, Tensor]  # inputs and targets to train on, inputs and targets to validate on


# ------------------------------------------------------------------ data

def parted(x: Tensor, y: Tensor, train: int, valid: int, seed: int = 0, wrong: float = 0.) -> Data:
    "The first `train` of a shuffled set and `valid` others; a share `wrong` of the labels to train on is redrawn"
    g = torch.Generator().manual_seed(seed)
    i = torch.randperm(len(y), generator=g)
    x, y = x[i], y[i].clone()
    redrawn = torch.rand(train, generator=g) < wrong
    if wrong: y[:train][redrawn] = torch.randint(0, int(y.max()) + 1, (int(redrawn.sum()),), generator=g)
    return x[:train], y[:train], x[train:train + valid], y[train:train + valid]


def real(name: str) -> Path:
    "A file of COURSE_LIB_DATA"
    root = os.environ.get("COURSE_LIB_DATA")
    if not root: raise SystemExit("set COURSE_LIB_DATA to the folder with the real data")
    return Path(root)/name


def archive(name: str) -> tarfile.TarFile:
    "An archive of COURSE_LIB_DATA"
    return tarfile.open(real(f"{name}.tgz"))


def measurements(d: dict) -> tuple[Tensor, Tensor]:
    "A set of scikit-learn's with a number a column, these standardized; classes"
    x = torch.tensor(d["data"], dtype=torch.float32)
    return (x - x.mean(0))/x.std(0), torch.tensor(d["target"])


def table(name: str, member: str) -> pd.DataFrame:
    "A csv file of an archive"
    with archive(name) as t: return pd.read_csv(t.extractfile(f"{name}/{member}"))


@lru_cache
def digits() -> tuple[Tensor, Tensor]:
    "scikit-learn's 8x8 digits [1797, 64], from -1 to 1"
    from sklearn.datasets import load_digits
    d = load_digits()
    return torch.tensor(d.data, dtype=torch.float32)/8 - 1, torch.tensor(d.target)


@lru_cache
def small_pictures(name: str, per_class: int, size: int, folder: str) -> tuple[Tensor, Tensor]:
    "The first pictures of each class of an archive [n, c, size, size], standardized"
    from PIL import Image
    seen: dict[str, list] = {}
    with archive(name) as t:
        for m in t:
            parts = Path(m.name).parts
            if not m.name.endswith(".png") or folder not in parts or len(seen.get(parts[-2], ())) >= per_class: continue
            data = t.extractfile(m).read()
            seen.setdefault(parts[-2], []).append(np.asarray(Image.open(io.BytesIO(data)).resize((size, size))))
    x = torch.tensor(np.stack([p for k in sorted(seen) for p in seen[k]])).float()
    x = x[:, None] if x.dim() == 3 else x.permute(0, 3, 1, 2)
    y = torch.tensor([i for i, k in enumerate(sorted(seen)) for _ in seen[k]])
    return (x - x.mean())/x.std(), y


@lru_cache
def census() -> tuple[Tensor, Tensor]:
    "A census table: numbers standardized and the commonest words as columns of their own; who earns more than 50k"
    df = table("adult_sample", "adult.csv")
    y = torch.tensor((df["salary"] == ">=50k").astype("int64").to_numpy())
    numbers = df.select_dtypes("number").fillna(0.)
    words = pd.get_dummies(df.select_dtypes(exclude="number").drop(columns="salary").fillna("?")).astype("float32")
    standard, common = (numbers - numbers.mean())/numbers.std(), words.loc[:, words.mean() > 0.01]
    x = np.concatenate([standard.to_numpy(), common.to_numpy()], 1)
    return torch.tensor(x, dtype=torch.float32), y


@lru_cache
def reviews() -> tuple[Tensor, Tensor]:
    "Film reviews as roots of word counts [1000, 600]"
    df = table("imdb_sample", "texts.csv")
    split = [t.lower().split() for t in df["text"]]
    common = pd.Series([w for t in split for w in set(t)]).value_counts().index[:600]
    place = {w: i for i, w in enumerate(common)}
    x = torch.zeros(len(split), 600)
    for row, words in zip(x, split):
        for w in words:
            if w in place: row[place[w]] += 1
    return x.sqrt(), torch.tensor((df["label"] == "positive").astype("int64").to_numpy())


@lru_cache
def ratings() -> tuple[Tensor, Tensor]:
    "Ratings of films: codes of user and film [n, 2] and stars"
    df = table("ml-latest-small", "ratings.csv")
    df = df[df["movieId"].isin(df["movieId"].value_counts().index[:600])]
    x = np.stack([df["userId"].factorize()[0], df["movieId"].factorize()[0]], 1)
    return torch.tensor(x), torch.tensor(df["rating"].to_numpy(), dtype=torch.float32)


@lru_cache
def numbers_in_words(length: int) -> tuple[Tensor, Tensor]:
    "Windows of numbers written out: `length` tokens and the one after each"
    with archive("human_numbers") as t: text = t.extractfile("human_numbers/train.txt").read().decode()
    tokens = text.replace("\n", " . ").split()[:20000]
    place = {w: i for i, w in enumerate(sorted(set(tokens)))}
    windows = torch.tensor([place[w] for w in tokens]).unfold(0, length + 1, 3)
    return windows[:, :-1], windows[:, 1:]


@lru_cache
def regression(name: str) -> tuple[Tensor, Tensor]:
    "A table of scikit-learn's with numbers for targets, both standardized"
    from sklearn import datasets
    x, y = (datasets.make_friedman1(3000, 10, noise=1., random_state=0) if name == "friedman" else
            datasets.load_diabetes(return_X_y=True))
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return (x - x.mean(0))/x.std(0), (y - y.mean())/y.std()


@lru_cache
def tumours() -> tuple[Tensor, Tensor]:
    "Measurements of cells, standardized; benign or not"
    from sklearn.datasets import load_breast_cancer
    return measurements(load_breast_cancer())


@lru_cache
def drawn_classes() -> tuple[Tensor, Tensor]:
    "Four classes of points with twenty numbers each, a tenth of them called wrongly"
    from sklearn.datasets import make_classification
    x, y = make_classification(8000, 20, n_informative=8, n_redundant=4, n_classes=4, flip_y=0.1, random_state=0)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@lru_cache
def passengers() -> tuple[Tensor, Tensor]:
    "Passengers of the Titanic: class, sex, age, fare and relatives, standardized; who lived"
    df = pd.read_csv(real("titanic_raw.csv")).rename(columns=str.lower)
    x = df[["pclass", "age", "fare", "sibsp", "parch"]].astype(float).assign(woman=(df["sex"] == "female")*1.)
    x = x.fillna(x.median())
    x = torch.tensor(((x - x.mean())/x.std()).to_numpy(), dtype=torch.float32)
    return x, torch.tensor(df["survived"].to_numpy())


@lru_cache
def wines() -> tuple[Tensor, Tensor]:
    "Measurements of 178 wines, standardized; one of three growers"
    from sklearn.datasets import load_wine
    return measurements(load_wine())


@lru_cache
def openings() -> tuple[Tensor, Tensor]:
    "The first forty words of film reviews as codes of the 800 commonest; liked or not"
    df = table("imdb_sample", "texts.csv")
    split = [t.lower().split()[:40] for t in df["text"]]
    common = pd.Series([w for t in split for w in t]).value_counts().index[:799]
    place = {w: i + 1 for i, w in enumerate(common)}
    x = torch.tensor([[place.get(w, 0) for w in t] + [0]*(40 - len(t)) for t in split])
    return x, torch.tensor((df["label"] == "positive").astype("int64").to_numpy())


@lru_cache
def photograph() -> tuple[Tensor, Tensor]:
    "Places in scikit-learn's flower as 24 waves; how bright it is there"
    from sklearn.datasets import load_sample_image
    g = torch.Generator().manual_seed(5)
    im = F.avg_pool2d(torch.tensor(load_sample_image("flower.jpg")).float().mean(-1)[None], 6)[0]
    places = torch.cartesian_prod(*(torch.linspace(-1, 1, n) for n in im.shape))
    waves = places@(5*torch.randn(2, 12, generator=g))
    return torch.cat([waves.sin(), waves.cos()], 1), (im.flatten() - im.mean())/im.std()


# ------------------------------------------------------------------ networks

def mlp(*sizes: int) -> nn.Module:
    "Fully connected layers with ReLU between them"
    layers = [layer for i, o in zip(sizes, sizes[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def conv(channels: int, out: int, width: int = 16) -> nn.Module:
    "Three convolutions with stride 2 and group norm, and a head"
    layers: list[nn.Module] = []
    for i, o in ((channels, width), (width, 2*width), (2*width, 4*width)):
        layers += [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.GroupNorm(4, o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(2), Average(), nn.Linear(4*width, out))


class Average(nn.Module):
    "The mean over the last dimension"
    def forward(self, x: Tensor) -> Tensor: return x.mean(-1)


class Squares(nn.Module):
    "Rows of 64 numbers as pictures of 8 x 8, for a network of pictures"
    def __init__(self, net: nn.Module): super().__init__(); self.net = net
    def forward(self, x: Tensor) -> Tensor: return self.net(x.view(-1, 1, 8, 8))


class Recurrent(nn.Module):
    "A gated recurrent layer written out, over rows of a picture or over tokens; answers at the end or at each step"
    def __init__(self, inputs: int, hidden: int, out: int, tokens: bool = False):
        super().__init__()
        self.start = nn.Embedding(inputs, hidden) if tokens else nn.Linear(inputs, hidden)
        self.gates, self.new = nn.Linear(2*hidden, 2*hidden), nn.Linear(2*hidden, hidden)
        self.head, self.tokens, self.hidden, self.inputs = nn.Linear(hidden, out), tokens, hidden, inputs
    def forward(self, x: Tensor) -> Tensor:
        x = self.start(x) if self.tokens else self.start(x.view(len(x), -1, self.inputs))
        h, seen = x.new_zeros(len(x), self.hidden), []
        for t in range(x.shape[1]):
            reset, update = self.gates(torch.cat([x[:, t], h], 1)).sigmoid().chunk(2, 1)
            h = torch.lerp(self.new(torch.cat([x[:, t], reset*h], 1)).tanh(), h, update)
            seen.append(h)
        return self.head(torch.stack(seen, 1)) if self.tokens else self.head(h)


class Attention(nn.Module):
    "Two blocks of attention with one head and a fully connected layer; looks backwards only where tokens are foretold"
    def __init__(self, inputs: int, length: int, out: int, tokens: bool = False, width: int = 32):
        super().__init__()
        self.start = nn.Embedding(inputs, width) if tokens else nn.Linear(inputs, width)
        self.place = nn.Parameter(0.1*torch.randn(length, width))
        self.mix = nn.ModuleList(nn.Linear(width, 3*width) for _ in range(2))
        self.deep = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2*width), nn.GELU(),
                                                nn.Linear(2*width, width)) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.head, self.tokens, self.inputs, self.width = nn.Linear(width, out), tokens, inputs, width
    def forward(self, x: Tensor) -> Tensor:
        h = (self.start(x) if self.tokens else self.start(x.view(len(x), -1, self.inputs))) + self.place
        later = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).triu(1)
        for mix, norm, deep in zip(self.mix, self.norms, self.deep):
            q, k, v = mix(norm(h)).chunk(3, -1)
            scores = q@k.transpose(-1, -2)/self.width**0.5
            if self.tokens: scores = scores.masked_fill(later, -1e9)
            h = h + scores.softmax(-1)@v
            h = h + deep(h)
        return self.head(h if self.tokens else h.mean(1))


class Factors(nn.Module):
    "Vectors of users and films: their product with biases, or a network over both"
    def __init__(self, users: int, films: int, size: int = 16, net: bool = False):
        super().__init__()
        self.user, self.film = nn.Embedding(users, size), nn.Embedding(films, size)
        self.biases = nn.ModuleList([nn.Embedding(users, 1), nn.Embedding(films, 1)])
        for e in (self.user, self.film, *self.biases): nn.init.normal_(e.weight, std=0.05)
        self.net = mlp(2*size, 32, 1) if net else None
    def forward(self, x: Tensor) -> Tensor:
        u, f = self.user(x[:, 0]), self.film(x[:, 1])
        out = self.net(torch.cat([u, f], 1))[:, 0] if self.net is not None else (u*f).sum(1)
        return 5.5*torch.sigmoid(out + sum(b(x[:, i])[:, 0] for i, b in enumerate(self.biases)))


class Bag(nn.Module):
    "The mean of the vectors of all words, and a layer on it"
    def __init__(self, words: int, size: int, out: int):
        super().__init__()
        self.vectors, self.head = nn.Embedding(words, size), mlp(size, 32, out)
    def forward(self, x: Tensor) -> Tensor: return self.head(self.vectors(x).mean(1))


class One(nn.Module):
    "One number for each row"
    def __init__(self, net: nn.Module): super().__init__(); self.net = net
    def forward(self, x: Tensor) -> Tensor: return self.net(x)[:, 0]


@lru_cache
def trained_body() -> dict[str, Tensor]:
    "Convolutions trained on the digits below five, for nets that then learn the others"
    x, y = digits()
    x, y = x[y < 5], y[y < 5]
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = Squares(conv(1, 5))
        opt = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(150):
            i = torch.randint(0, len(y), (64,))
            opt.zero_grad(); F.cross_entropy(net(x[i]), y[i]).backward(); opt.step()
    return {k: v for k, v in net.state_dict().items() if not k.startswith("net.11")}


def transferred(frozen: bool) -> nn.Module:
    "A network for the digits from five on, with a trained body, frozen or not"
    net = Squares(conv(1, 5))
    net.load_state_dict(trained_body(), strict=False)
    if frozen:
        for name, p in net.named_parameters(): p.requires_grad_(name.startswith("net.11"))
    return net


def upper_digits(train: int) -> Data:
    "Digits from five on, called from zero on"
    x, y = digits()
    return parted(x[y > 4], y[y > 4] - 5, train, 500)


# ------------------------------------------------------------------ problems

@dataclass
class Problem(lr_stack.Problem):
    "One problem for the harness of `benchmarks.lr_stack`, its network any module"
    name: str
    data: Callable[[], Data]
    net: Callable[[], nn.Module]
    opt: str = "adam"
    bs: int = 64
    steps: int = 200
    wd: float = 0.
    kind: str = "classes"

    def load(self) -> "Problem":
        "Read the data; a problem of the list is only a recipe until then"
        x, self.y, vx, self.vy = self.data()
        self.x, self.vx = (x,), (vx,)
        return self

    def module(self, seed: int) -> nn.Module:
        "The network from one seed"
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.net()

    def stack(self, seeds: list[int]) -> dict[str, Tensor]:
        "What is trained of the networks of all seeds, along a new first dimension"
        nets = [self.module(s) for s in seeds]
        free = {k for k, p in nets[0].named_parameters() if p.requires_grad}
        params, _ = stack_module_state(nets)
        self.bare = nets[0]
        self.fixed = {k: v.detach() for k, v in nets[0].named_parameters() if k not in free}
        return {k: v.detach().clone() for k, v in params.items() if k in free}

    def forward(self, params: dict[str, Tensor], x: tuple[Tensor, ...]) -> Tensor:
        "The answers of all networks, each to its own batch"
        def one(p: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return functional_call(self.bare, (p, self.fixed), (inputs,))
        return vmap(one)(params, x[0])

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        "The mean loss of each network"
        if self.kind == "numbers": return (out - y).square().mean(1)
        return F.cross_entropy(out.flatten(0, -2), y.flatten(), reduction="none").view(len(out), -1).mean(1)


def of(x_y: Callable, *args, **kwargs) -> Callable[[], Data]:
    "Data parted when they are asked for"
    return lambda: parted(*x_y(), *args, **kwargs)


def pets(train: int) -> Callable[[], Data]: return of(lambda: small_pictures("cifar10", 300, 16, "train"), train, 500)


def handwriting(train: int) -> Callable[[], Data]:
    return of(lambda: small_pictures("mnist_png", 600, 14, "training"), train, 1000)


def films(train: int) -> Callable[[], Data]: return of(ratings, train, 8000)


def words(train: int) -> Callable[[], Data]: return of(lambda: numbers_in_words(8), train, 500)


def text() -> tuple[Tensor, Tensor]:
    "The licence of this project: ten characters and the one after each, as windows"
    letters = (Path(__file__).parents[1]/"LICENSE").read_text()
    place = {c: i for i, c in enumerate(sorted(set(letters)))}
    windows = torch.tensor([place[c] for c in letters]).unfold(0, 11, 1)
    return windows[:, :-1], windows[:, 1:]


LIST = [
    Problem("digits, short", of(digits, 1300, 450), lambda: mlp(64, 64, 10), "adam", 32, 160),
    Problem("digits, few, long", of(digits, 200, 1000), lambda: mlp(64, 128, 10), "adam", 16, 500),
    Problem("digits, SGD", of(digits, 1300, 450), lambda: mlp(64, 64, 64, 10), "sgd", 64, 250),
    Problem("digits, wrong labels", of(digits, 800, 900, wrong=0.3), lambda: mlp(64, 128, 10), "adam", 64, 500),
    Problem("digits, wrong labels, SGD", of(digits, 400, 1000, wrong=0.2), lambda: mlp(64, 128, 10), "sgd", 32, 600,
            1e-3),
    Problem("digits, convolutions", of(digits, 1200, 500), lambda: Squares(conv(1, 10)), "adamw", 64, 120, 0.05),
    Problem("digits, convolutions, few", of(digits, 150, 1000), lambda: Squares(conv(1, 10)), "sgd", 16, 400),
    Problem("digits, recurrent", of(digits, 1300, 450), lambda: Recurrent(8, 32, 10), "adam", 64, 160),
    Problem("digits, attention", of(digits, 1300, 450), lambda: Attention(8, 8, 10), "adamw", 64, 100, 0.01),
    Problem("handwriting, large batches", handwriting(4000), lambda: mlp(196, 64, 10), "adam", 1024, 80),
    Problem("handwriting, few", handwriting(300), lambda: mlp(196, 128, 10), "adamw", 32, 300, 0.1),
    Problem("colours, convolutions", pets(2000), lambda: conv(3, 10, 8), "adamw", 64, 250, 0.05),
    Problem("colours, few, long", pets(500), lambda: conv(3, 10, 8), "adam", 32, 250),
    Problem("colours, SGD, large batches", pets(1500), lambda: conv(3, 10, 8), "sgd", 192, 50),
    Problem("census", of(census, 12000, 3000), lambda: mlp(lr_inputs(census), 64, 2), "adam", 512, 200),
    Problem("census, few, long", of(census, 500, 3000), lambda: mlp(lr_inputs(census), 64, 2), "adamw", 32, 400, 0.01),
    Problem("census, SGD", of(census, 6000, 3000), lambda: mlp(lr_inputs(census), 64, 64, 2), "sgd", 128, 300, 1e-4),
    Problem("reviews", of(reviews, 750, 250), lambda: mlp(600, 32, 2), "adam", 64, 150),
    Problem("reviews, SGD, small batches", of(reviews, 750, 250), lambda: mlp(600, 2), "sgd", 16, 400, 1e-3),
    Problem("ratings, product", films(30000), lambda: Factors(610, 600), "adam", 256, 250, kind="numbers"),
    Problem("ratings, network", films(30000), lambda: Factors(610, 600, net=True), "adamw", 1024, 150, 0.1, "numbers"),
    Problem("ratings, few, long", films(4000), lambda: Factors(610, 600), "adam", 64, 400, kind="numbers"),
    Problem("numbers in words, recurrent", words(4000), lambda: Recurrent(40, 32, 40, True), "adam", 64, 120),
    Problem("numbers in words, attention", words(1000), lambda: Attention(40, 8, 40, True), "adamw", 32, 160, 0.01),
    Problem("characters, recurrent, SGD", of(text, 6000, 500), lambda: Recurrent(100, 32, 100, True), "sgd", 64, 120),
    Problem("diabetes", of(lambda: regression("diabetes"), 300, 142), lambda: One(mlp(10, 64, 1)), "adam", 16, 300,
            kind="numbers"),
    Problem("Friedman's function, SGD", of(lambda: regression("friedman"), 2000, 1000), lambda: One(mlp(10, 64, 64, 1)),
            "sgd", 32, 300, kind="numbers"),
    Problem("tumours, SGD", of(tumours, 300, 260), lambda: mlp(30, 32, 2), "sgd", 16, 200, 1e-3),
    Problem("frozen body", lambda: upper_digits(300), lambda: transferred(True), "adam", 32, 120),
    Problem("free body", lambda: upper_digits(300), lambda: transferred(False), "adamw", 32, 150, 0.01),
]

# for development only: added when its half was recorded, before any of the final half was run
MORE = [
    Problem("drawn classes, few, long", of(drawn_classes, 400, 2000), lambda: mlp(20, 64, 4), "adamw", 32, 250, 0.05),
    Problem("drawn classes, SGD, large batches", of(drawn_classes, 5000, 2000), lambda: mlp(20, 64, 64, 4), "sgd", 1000,
            60),
    Problem("drawn classes, short", of(drawn_classes, 6000, 2000), lambda: mlp(20, 64, 64, 4), "adam", 64, 140),
    Problem("passengers, SGD", of(passengers, 600, 280), lambda: mlp(6, 32, 32, 2), "sgd", 32, 240, 1e-3),
    Problem("passengers, long", of(passengers, 400, 480), lambda: mlp(6, 64, 2), "adam", 16, 400),
    Problem("wines", of(wines, 90, 88), lambda: mlp(13, 32, 3), "adam", 16, 120),
    Problem("colours, fully connected", pets(2400), lambda: mlp(768, 32, 10), "adam", 128, 200),
    Problem("handwriting, convolutions, SGD", handwriting(4800), lambda: conv(1, 10, 8), "sgd", 128, 110),
    Problem("handwriting, recurrent", handwriting(4000), lambda: Recurrent(14, 32, 10), "adamw", 64, 125, 0.01),
    Problem("openings of reviews", of(openings, 700, 300), lambda: Bag(800, 32, 2), "adam", 32, 220),
    Problem("ratings, product, AdamW", films(12000), lambda: Factors(610, 600, 8), "adamw", 128, 280, 0.05, "numbers"),
    Problem("characters, attention", of(text, 7000, 500), lambda: Attention(100, 10, 100, True), "adamw", 64, 160,
            0.05),
    Problem("photograph", of(photograph, 2500, 2000), lambda: One(mlp(24, 64, 64, 1)), "adam", 128, 240,
            kind="numbers"),
    Problem("photograph, SGD", of(photograph, 4000, 2000), lambda: One(mlp(24, 64, 64, 1)), "sgd", 64, 180,
            kind="numbers"),
    Problem("free body, SGD", lambda: upper_digits(250), lambda: transferred(False), "sgd", 16, 150),
]


def lr_inputs(data: Callable[[], tuple[Tensor, Tensor]]) -> int:
    "How many numbers a row holds"
    return data()[0].shape[1]


def halves() -> dict[str, list[str]]:
    "{'development', 'final'}: names, by a coin whose seed was written down before anything was run"
    names = sorted(p.name for p in LIST)
    random.Random(COIN).shuffle(names)
    return {"development": sorted(names[:len(names)//2]) + [p.name for p in MORE],
            "final": sorted(names[len(names)//2:])}


# ------------------------------------------------------------------ records

RATES = {"sgd": [10**(k/3) for k in range(-9, 4)], "adam": [10**(k/3) for k in range(-12, 1)]}
RATES["adamw"] = RATES["adam"]
SHARES = (1/8, 1/4)  # of the planned steps that a short run on all data gets
PARTS = (1/8, 1/4, 1/2)  # of the batches where a short run keeps to a part, and of the planned steps
SEARCHES = 12  # their batches are other ones than those of the runs


def steps_of(problem: Problem, share: float) -> int:
    "Steps of a run with this share of the planned length, at least ten"
    return max(round(problem.steps*share), 10)


def part_order(problem: Problem, seed: int, share: float) -> Tensor:
    "Indices [steps, bs]: the planned passes over the first batches of one pass, these in a new order each time"
    per, steps = len(problem.y)//problem.bs, steps_of(problem, share)
    kept = problem.order(seed, max(round(per*share), 1), stream=2)
    g = torch.Generator().manual_seed(seed)
    passes = [kept[torch.randperm(len(kept), generator=g)] for _ in range(steps//len(kept) + 1)]
    return torch.cat(passes)[:steps]


def trained(problem: Problem, seed: int, order: Tensor, looks: Sequence[int]) -> tuple[Tensor, Tensor]:
    "One-cycle runs at all rates on the same batches [steps, bs]: losses, and validation losses after some steps"
    lrs = RATES[problem.opt]
    rates = torch.stack([one_cycle(lr, len(order)) for lr in lrs], 1)
    same = order[:, None].expand(-1, len(lrs), -1)
    losses, seen = lr_stack.train(problem, problem.stack([seed]*len(lrs)), same, rates, tuple(looks))
    return losses, torch.stack(seen)


def runs(problem: Problem, seed: int, have: set[tuple[str, float]]) -> list[dict]:
    "Validation losses of whole and of short runs at each rate, none above the untrained loss; without those we `have`"
    untrained, out = lr_stack.validate(problem, problem.stack([seed])), []
    def note(kind: str, share: float, losses: Tensor) -> None:
        if kind != "short, training loss":
            losses = torch.where(losses.isfinite(), losses, untrained).minimum(untrained)
        if (kind, share) not in have:
            out.append({"problem": problem.name, "kind": kind, "share": share, "seed": seed} | {
                f"rate{i}": f"{loss:.5g}" for i, loss in enumerate(losses.tolist())})
    if ("whole", 1.) not in have:
        at = [steps_of(problem, share) for share in (*SHARES, 1)]
        for share, seen in zip((*SHARES, 1.), trained(problem, seed, problem.order(seed, problem.steps, 0), at)[1]):
            note("whole" if share == 1 else "on the way", share, seen)
    for share in PARTS:
        if ("part", share) not in have:
            steps = steps_of(problem, share)
            note("part", share, trained(problem, seed, part_order(problem, seed, share), [steps])[1][0])
    for share in SHARES:
        steps = steps_of(problem, share)
        if ("short", share) not in have:
            losses, seen = trained(problem, seed, problem.order(seed, steps, 2), [steps])
            note("short", share, seen[0])
            note("short, training loss", share, losses[-max(int(0.3*steps), 1):].mean(0))
    return out


def curves(problem: Problem, searches: int) -> list[dict]:
    "The raw losses of searches as `find_lr` makes them, in one column"
    lr_stack.check(problem)
    return [{"problem": problem.name, "seed": seed, "examples": len(problem.y),
             "losses": " ".join(f"{x:.5g}" for x in curve.runs[0].tolist())}
            for seed, curve in enumerate(lr_stack.search(problem, list(range(searches))))]


def recorded(half: str, what: str) -> pd.DataFrame:
    "A table of results, empty if there is none"
    file = RESULTS/f"lr_problems_{half}_{what}.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["problem", "kind", "share", "seed"])


def record(half: str, what: str, new: list[dict]) -> None:
    "Add rows to a table of results"
    table = pd.concat([recorded(half, what), pd.DataFrame(new)]) if len(recorded(half, what)) else pd.DataFrame(new)
    table.to_csv(RESULTS/f"lr_problems_{half}_{what}.csv", index=False)


def main() -> None:
    "Record what is not recorded yet; delete a table to measure anew"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--half", choices=["development", "final"], default="development")
    parser.add_argument("--only", help="the name of one problem")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    mine = [p for p in LIST + MORE if p.name in halves()[args.half] and args.only in (None, p.name)]
    if args.list: print(*(f"{p.name}: {p.opt}, batches of {p.bs}, {p.steps} steps" for p in mine), sep="\n"); return
    for problem in mine:
        if problem.name not in set(recorded(args.half, "curves").problem):
            record(args.half, "curves", curves(problem.load(), SEARCHES))
    for seed in range(args.seeds):
        for problem in mine:
            old, started = recorded(args.half, "runs"), time.process_time()
            old = old[(old.problem == problem.name) & (old.seed == seed)]
            new = runs(problem.load(), seed, set(zip(old.kind, old.share)))
            if new: record(args.half, "runs", new)
            print(f"seed {seed}, {problem.name}: {time.process_time() - started:.0f} CPU-seconds", flush=True)


if __name__ == "__main__": main()
