"""Counting in words: how often the next word of fastai's human numbers is foretold, by two networks and by counts.

    python -m benchmarks.text_numbers [--seeds 3]

The numbers from one to 7,999 are learned, those from 8,000 to 9,998 judged; nobody has seen "eight thousand" or "nine
thousand" before. After three first tries that had looked at the judged part, the settings of the LSTM were chosen
with 1 to 6,999 against 7,000 to 7,999 alone, fifteen of them with two or three seeds each. The course's `LSTM`, its
words' vectors used at both ends, half of its outputs dropped, with the penalties on them and on their changes from step
to step (Merity et al., 2017), AdamW with a strong weight decay and one cycle. fastbook's best on the same words, cut at
80% of its rows, is 0.885. Rivals: the most frequent word after the last one to five words, the last number
said again, and the course's transformer with its usual settings. Times are CPU seconds of one thread.
"""
import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import machine, write
from course_lib.core import mean_ci, seed_everything
from course_lib.data import get
from course_lib.lr_finder import one_cycle
from course_lib.text import LSTM, LMStream, Numericalizer, Transformer, lm_learner

WIDTH, LAYERS, DROPPED, RATE, DECAY, EPOCHS, ROWS, STEP = 64, 2, 0.5, 0.01, 1., 24, 32, 64


def spoken(part: str) -> list[str]:
    "The words of the numbers of a part, a full stop between two"
    lines = (get("numbers", quiet=True)/f"{part}.txt").read_text(encoding="utf-8").split("\n")
    return " . ".join(line.strip() for line in lines if line.strip()).split()


class Words(nn.Module):
    "Layers of LSTM that go on where the last call ended, the vectors of words used at both ends"
    def __init__(self, n_words: int):
        super().__init__()
        self.embedding, self.layers = nn.Embedding(n_words, WIDTH), LSTM(WIDTH, WIDTH, LAYERS)
        self.bias, self.state = nn.Parameter(torch.zeros(n_words)), None

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # logits, outputs, outputs with some dropped
        out, state = self.layers(self.embedding(ids), self.state)
        self.state = tuple(part.detach() for part in state)
        kept = F.dropout(out, DROPPED, self.training)
        return F.linear(kept, self.embedding.weight, self.bias), out, kept


def lstm(train: Tensor, valid: Tensor, n_words: int, seed: int) -> float:
    "Share of the next words of `valid` that an LSTM trained on `train` foretells"
    seed_everything(seed)
    net, batches = Words(n_words), LMStream([train], batch_size=ROWS, seq_len=STEP)
    opt = torch.optim.AdamW(net.parameters(), RATE, betas=(0.9, 0.99), weight_decay=DECAY)
    rates = iter(one_cycle(RATE, EPOCHS*len(batches)).tolist())
    for _ in range(EPOCHS):
        net.state = None
        for ids, following in batches:
            opt.param_groups[0]["lr"] = next(rates)
            logits, out, kept = net(ids)
            loss = F.cross_entropy(logits.flatten(0, 1), following.flatten()) + 2*kept.square().mean()
            loss = loss + (out[:, 1:] - out[:, :-1]).square().mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
    net.eval().state = None
    with torch.no_grad():
        hits = [(net(ids)[0].argmax(-1) == following).flatten()
                for ids, following in LMStream([valid], batch_size=ROWS, seq_len=STEP)]
    return torch.cat(hits).float().mean().item()


def transformer(train: Tensor, valid: Tensor, n_words: int, seed: int) -> float:
    "The same for the course's transformer"
    seed_everything(seed)
    streams = [LMStream([part], batch_size=16, seq_len=STEP) for part in (train, valid)]
    net = Transformer(n_words, width=64, heads=4, layers=2, context=STEP)
    return lm_learner(*streams, net, device=torch.device("cpu")).fit(15, 0.003)[-1]["accuracy"]


def counts(train: Sequence[int], valid: Sequence[int], order: int) -> float:
    "Share foretold by the word that was most frequent after the last `order` words, or after fewer if these are new"
    after = [defaultdict(Counter) for _ in range(order + 1)]
    for i in range(order, len(train)):
        for n in range(order + 1): after[n][tuple(train[i - n:i])][train[i]] += 1
    right = 0
    for i in range(order, len(valid)):
        known = next(seen for n in range(order, -1, -1) if (seen := after[n].get(tuple(valid[i - n:i]))))
        right += known.most_common(1)[0][0] == valid[i]
    return right/(len(valid) - order)


def again(valid: Sequence[int], stop: int) -> float:
    "Share foretold by saying the last number once more"
    right, last, place = 0, [], 0
    for i, word in enumerate(valid):
        right += place < len(last) and last[place] == word
        place += 1
        if word == stop: last, place = list(valid[i + 1 - place:i + 1]), 0
    return right/len(valid)


def main() -> None:
    "Train, judge, write the page"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary = Numericalizer([spoken("train")], min_count=1)
    train, valid = vocabulary(spoken("train")), vocabulary(spoken("valid"))
    rows: list[dict] = []
    for name, fit in {"LSTM, two layers of 64": lstm, "transformer, two blocks of 64": transformer}.items():
        start = time.process_time()
        right = [fit(train, valid, len(vocabulary), seed) for seed in range(args.seeds)]
        rows.append({"model": name, "right": mean_ci(right), "each seed": ", ".join(f"{r:.3f}" for r in right),
                     "CPU seconds a seed": (time.process_time() - start)/args.seeds})
    known, judged = train.tolist(), valid.tolist()
    for order in (1, 2, 3, 5):
        rows.append({"model": f"most frequent after the last {order}", "right": counts(known, judged, order),
                     "each seed": "", "CPU seconds a seed": ""})
    rows.append({"model": "the last number again", "right": again(judged, vocabulary(["."]).tolist()[0]),
                 "each seed": "", "CPU seconds a seed": ""})
    write("text_numbers", f"# Counting in words\n\n{machine()}\n\n{(__doc__ or '').strip()}", rows)


if __name__ == "__main__": main()
