"""Film reviews told apart by a bag of words, and a vocabulary of bytes and merges beside Hugging Face's `tokenizers`.

    COURSE_LIB_DATA=FOLDER python -m benchmarks.text [--rounds 3]

The reviews are IMDB's, from the folder that COURSE_LIB_DATA names: 2,000 to learn from, judged on the test part and on
those of IMDB_SAMPLE that are in neither. Settings of `NBLogistic` were chosen on parts of the 2,000 alone; the rivals
have scikit-learn's defaults. Times are CPU seconds of one thread, so that a busy machine does not count.
"""
import argparse
import csv
import os
import time
from collections.abc import Callable, Sequence

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # one thread each

import numpy as np  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.naive_bayes import MultinomialNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from benchmarks.harness import machine, median, table, write  # noqa: E402
from course_lib.data import get  # noqa: E402
from course_lib.text import BPETokenizer, NBLogistic, bag  # noqa: E402

SIZE, BYTES = 4000, 3_000_000  # tokens of the vocabulary, bytes of its corpus


def reviews(part: str) -> tuple[list[str], np.ndarray]:
    "Texts and labels of a part of IMDB"
    folder = get("imdb", quiet=True)/part
    files = [(f, label) for label, side in enumerate(("neg", "pos")) for f in sorted((folder/side).glob("*.txt"))]
    return [f.read_text(encoding="utf-8") for f, _ in files], np.array([label for _, label in files])


def sample(seen: Sequence[str]) -> tuple[list[str], np.ndarray]:
    "Texts and labels of IMDB_SAMPLE that are not among those seen"
    known = {"".join(filter(str.isalnum, text.replace("<br />", ""))) for text in seen}
    with open(get("imdb_sample", quiet=True)/"texts.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    rows = [r for r in rows if "".join(filter(str.isalnum, r["text"].replace("<br />", ""))) not in known]
    return [r["text"] for r in rows], np.array([r["label"] == "positive" for r in rows]).astype(int)


def cpu(fn: Callable[[], object]) -> float:
    "CPU seconds of a call"
    start = time.process_time()
    fn()
    return time.process_time() - start


def judged() -> list[dict]:
    "A row for each model: right answers, and CPU seconds to learn and to judge"
    texts, labels = reviews("train")
    others = reviews("test")
    parts = {"test part": others, "IMDB_SAMPLE": sample([*texts, *others[0]])}
    rows = []
    for name, make in {
            "NBLogistic: words and pairs": NBLogistic,
            "NBLogistic: words alone": lambda: NBLogistic(lambda text: [f for f in bag(text) if " " not in f]),
            "naive Bayes alone, words and pairs":
                lambda: make_pipeline(CountVectorizer(binary=True, analyzer=bag), MultinomialNB()),
            "TF-IDF of words, logistic regression": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
            "TF-IDF of words and pairs, logistic regression":
                lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())}.items():
        model = make()
        learning = cpu(lambda: model.fit(texts, labels))
        found: dict = {"model": name}
        for part, (judge, truth) in parts.items():
            start = time.process_time()
            right = float((model.predict(judge) == truth).mean())
            found[f"{part}, right of {len(truth)}"] = f"{right:.1%}"
            judging = time.process_time() - start
        rows.append(found | {"seconds to learn": learning, "seconds to judge the last": judging})
    return rows


def peer(corpus: Sequence[str]) -> Tokenizer:
    "Hugging Face's byte-level BPE, trained on the corpus"
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return made


def tokenized(rounds: int) -> tuple[list[dict], int]:
    "A row for training and one for encoding, in turn with `tokenizers`; and the bytes of the corpus"
    everything = [*reviews("train")[0], *reviews("test")[0]]
    order = np.random.default_rng(0).permutation(len(everything))
    corpus, size = [], 0
    for i in order:
        if size >= BYTES: break
        corpus.append(everything[i])
        size += len(everything[i].encode())
    theirs = peer(corpus)
    ours = BPETokenizer.train(corpus, SIZE)
    assert all(ours.encode(text) == theirs.encode(text).ids for text in corpus[:300])
    def read() -> list: return [theirs.encode(text).ids for text in corpus]
    ways = {"training": (lambda: BPETokenizer.train(corpus, SIZE), lambda: peer(corpus)),
            "encoding, nothing remembered": (lambda: [*map(BPETokenizer(ours.merges).encode, corpus)], read),
            "encoding again": (lambda: [*map(ours.encode, corpus)], read)}
    rows = []
    for name, (mine, other) in ways.items():
        times = [(cpu(mine), cpu(other)) for _ in range(rounds)]
        rows.append({"what": name, "course_lib, s": median([a for a, _ in times]),
                     "tokenizers, s": median([b for _, b in times]), "ratio": median([a/b for a, b in times])})
    return rows, size


def main() -> None:
    "Measure, and write the page"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = judged()
    speeds, size = tokenized(args.rounds)
    write("text", f"""# Text: a bag of words, and a tokenizer

{machine("scikit-learn", "tokenizers")}

2,000 reviews of IMDB to learn from, others to judge. No row is a network: these are what one has to be put beside.
Times are CPU seconds of one thread.""", rows, f"""## Tokens

A vocabulary of {SIZE:,} from {size:,} bytes of reviews: merges and ids are those of `tokenizers`. CPU seconds of one
thread, medians of {args.rounds} calls in turn.

{table(speeds)}""")


if __name__ == "__main__": main()
