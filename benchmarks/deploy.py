"""The exported file beside its Learner: does it say the same, how fast, what does a small file cost, what is served?

    python -m benchmarks.deploy [--seeds 3] [--pictures 1200] [--seconds 60]

The network of the first page is trained with several seeds. Parity is that of 360 pictures in batches of 1, 2 and 37;
times are those of eager PyTorch and of the file, in turn, on one thread. Five small files are compared with the whole
one on drawn pets that nothing was trained on, picture by picture: weights alone, dynamic scales (with unsigned and with
signed weights), static scales, and static scales calibrated with blank pictures. The server and the app of a Space each
run in a process of their own, and are asked by eight clients at once, in another.
"""
import argparse
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import torch

from benchmarks.harness import interleaved, machine, median, ratio, table, write
from course_lib.core import mean_ci
from course_lib.data import draw_pets
from course_lib.deploy import Answers, export_onnx, open_picture, quantize, space, to_square, verify
from course_lib.deploy.smaller import _quietly
from tests.deploy.hostile import REFUSED, RIGHT
from tests.deploy.serving import peak, started
from tools.build.web_model import breed, train

CLIENTS, BATCHES = 8, (1, 8, 37)


def fresh_pictures(n: int, folder: Path) -> tuple[list[Path], np.ndarray]:
    "Files of drawn pets that nothing was trained on, and the squares of them that a model takes"
    drawn = draw_pets(folder/"drawn", n_per_breed=-(-n//12), seed=11, label_errors=0, near_duplicates=0)
    files = sorted((drawn/"images").glob("*.jpg"))[:n]
    return files, np.stack([to_square(open_picture(f.read_bytes()), 64) for f in files])


def signed(source: Path, target: Path) -> Path:
    "The dynamic file with signed weights, which `quantize` does not write"
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process
    ready = target.with_suffix(".ready.onnx")
    with _quietly():
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        quantize_dynamic(str(ready), str(target), weight_type=QuantType.QInt8)
    return target


def small_files(path: Path, typical: np.ndarray) -> dict[str, Path]:
    "{way: its file}"
    found = {m: quantize(path, typical, m).path for m in ("weights", "dynamic", "static")}
    found["dynamic, signed"] = signed(path, path.with_suffix(".signed.onnx"))
    blank = path.with_suffix(".blank.onnx")
    return found | {"static, blank": quantize(path, 0*typical[:8], "static", blank).path}


def parities(path: Path, learn, squares: np.ndarray) -> tuple[float, bool]:
    "The largest difference from the Learner in batches of 1, 2 and 37, and whether every class is the same"
    found = [verify(path, learn, squares[i:i + n]) for n in (1, 2, 37) for i in range(0, 360, n)]
    return max(f.largest for f in found), all(f.holds for f in found)


def speeds(path: Path, learn, squares: np.ndarray) -> list[dict]:
    "PyTorch and the file in turn, on one thread, pixels to probabilities"
    torch.set_num_threads(1)
    answers, rows = Answers(path), []
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    learn.model.eval()

    @torch.inference_mode()
    def eager(x: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(x).permute(0, 3, 1, 2).float()/255
        return learn.model((pixels - mean)/std).softmax(1)
    for n in BATCHES:
        x = squares[:n]
        assert np.allclose(eager(x).numpy(), answers.probabilities(x), atol=1e-5)
        times = interleaved({"torch": lambda: eager(x), "file": lambda: answers.probabilities(x)}, 41)
        rows.append({"pictures at once": n, "PyTorch, ms": 1e3*median(times["torch"]),
                     "file, ms": 1e3*median(times["file"]), "PyTorch over file": ratio(times["torch"], times["file"])})
    return rows


def compared(files: dict[str, Path], whole: Path, squares: np.ndarray, shown: np.ndarray) -> dict[str, dict]:
    "{way: size, what is right picture by picture, names that changed, the median time of one picture}"
    asks = {way: Answers(f) if way != "dynamic, signed" else Bare(f) for way, f in {"whole": whole, **files}.items()}
    said = {way: np.concatenate([a.probabilities(squares[i:i + 100]) for i in range(0, len(squares), 100)]).argmax(1)
            for way, a in asks.items()}
    times = interleaved({way: lambda a=a: a.probabilities(squares[:1]) for way, a in asks.items()}, 31)
    return {way: {"bytes": {"whole": whole, **files}[way].stat().st_size, "right": said[way] == shown,
                  "renamed": float((said[way] != said["whole"]).mean()), "times": times[way]} for way in asks}


class Bare:
    "A file without notes, asked as `Answers` asks"
    def __init__(self, path: Path) -> None:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        "As in `Answers`"
        return self.session.run(None, {"pictures": pictures})[0]


def small_rows(found: list[dict[str, dict]]) -> list[dict]:
    "One row a way, over the seeds: accuracy, its change seed by seed and picture by picture"
    rows = []
    for way in found[0]:
        share = [100*f[way]["right"].mean() for f in found]
        every = np.concatenate([f[way]["right"] for f in found])
        base = np.concatenate([f["whole"]["right"] for f in found])
        changes = [s - 100*f["whole"]["right"].mean() for s, f in zip(share, found)]
        row = {"file": way, "MB": found[0][way]["bytes"]/1e6, "right, %": float(np.mean(share)),
               "change, points": mean_ci(100*every, 100*base), "seed by seed": ", ".join(f"{c:+.1f}" for c in changes)}
        rows.append(row | {"renamed, %": 100*float(np.mean([f[way]["renamed"] for f in found])),
                           "one picture, ms": 1e3*median([t for f in found for t in f[way]["times"]])})
    return rows


def memory(process: subprocess.Popen) -> float:
    "The most memory that a process has held so far, MB; nan where the system does not say"
    held = peak(process)
    return float("nan") if held is None else held/1e6


def load(name: str, ask, process: subprocess.Popen, seconds: float) -> dict:
    "What eight clients get that ask again and again: `ask(i)` sends the i-th request and says whether it was answered"
    before, end = memory(process), time.perf_counter() + seconds

    def client(i: int) -> list[tuple[float, bool]]:
        took, n = [], 0
        while time.perf_counter() < end:
            start = time.perf_counter()
            fine = ask(i, i + n)
            took.append((time.perf_counter() - start, fine))
            n += 1
        return took
    with ThreadPoolExecutor(CLIENTS) as pool: found = [t for ts in pool.map(client, range(CLIENTS)) for t in ts]
    times = sorted(t for t, _ in found)
    return {"door": name, "requests": len(found), "a second": len(found)/seconds,
            "median, ms": 1e3*times[len(times)//2], "99th of 100, ms": 1e3*times[int(0.99*len(times))],
            "not as expected": sum(not f for _, f in found), "memory grew, MB": memory(process) - before}


def server_loads(model: Path, photos: list[bytes], seconds: float) -> list[dict]:
    "The server, with photographs alone and with hostile files among them"
    mixed = [(p, 200) for p in photos[:16]] + [(d, 200) for d, _ in RIGHT.values()] + [
        (d, 413 if len(d) > 10_000_000 else 400) for d, _ in REFUSED.values()]
    rows = []
    for name, sent in (("server", [(p, 200) for p in photos]), ("server, hostile files among them", mixed)):
        folder = model.parent/f"of {name}"
        with started("-m", "tests.deploy.serving", str(model), folder=folder) as (address, process):
            clients = [httpx.Client(timeout=120) for _ in range(CLIENTS)]

            def ask(i: int, n: int, sent=sent, address=address, clients=clients) -> bool:
                data, code = sent[n % len(sent)]
                return clients[i].post(f"{address}/predict", content=data).status_code == code
            for i in range(CLIENTS): ask(i, i)
            rows.append(load(name, ask, process, seconds))
            for c in clients: c.close()
    return rows


def app_load(folder: Path, photos: list[Path], seconds: float) -> dict:
    "The app of a Space, asked by Gradio's client"
    from gradio_client import Client, handle_file
    with started(str(folder/"app.py"), folder=folder.parent/"of app", PYTHONPATH="") as (address, process):
        clients = [Client(address, verbose=False) for _ in range(CLIENTS)]

        def ask(i: int, n: int) -> bool:
            found = clients[i].predict(handle_file(photos[n % len(photos)]), api_name="/predict")
            return len(found["confidences"]) == 3
        for i in range(CLIENTS): ask(i, i)
        return load("app of a Space", ask, process, seconds)


def measure(args: argparse.Namespace, folder: Path) -> None:
    "Everything, and the page"
    files, squares = fresh_pictures(args.pictures, folder)
    small, worst, times, loads = [], [], [], []
    for seed in range(args.seeds):
        learn, path = train(seed), folder/f"{seed}.onnx"
        export_onnx(learn, path)
        shown = np.array([list(learn.dls.vocab).index(breed(f.name)) for f in files])
        typical = np.stack([to_square(open_picture(f.read_bytes()), 64) for f in learn.dls.train_ds.items[:128]])
        worst.append(parities(path, learn, squares))
        small.append(compared(small_files(path, typical), path, squares, shown))
        if seed: continue
        times = speeds(path, learn, squares)
        loads = server_loads(path, [f.read_bytes() for f in files[:64]], args.seconds)
        made = space(folder/"space", learn, "Which breed?", "It names drawn breeds.", "It knows no photographs.")
        loads.append(app_load(made, files[:64], args.seconds/2))
    held = "every class the same" if all(ok for _, ok in worst) else "PARITY DOES NOT HOLD"
    tail = f"""{len(files)} drawn pets that nothing was trained on, {args.seeds} networks (seeds), five comparisons.
"change" is that of the accuracy with its 95% interval over all pictures of all networks, in pairs; "renamed" is the
share of pictures that get another name than from the whole file. Times are medians, one picture, one thread.

## Parity

360 pictures in batches of 1, 2 and 37: no probability is farther from the Learner's than
{max(w for w, _ in worst):.1e}, {held} ({args.seeds} networks).

## Time beside eager PyTorch

{table(times)}

Bytes to probabilities, one thread each, in turn; the last column is the median ratio with its interval.

## Load

{table(loads)}

{CLIENTS} clients at once, in one process, for {args.seconds:g} seconds (the app half as long); server and app in a
process of their own. "Not as expected" counts requests without the right code: 200 for pictures, 400 or 413 for
{len(REFUSED)} kinds of hostile files, bombs of 81 and 400 megapixels among them."""
    write("deploy", f"""# The exported file: parity, time, size, load

{machine('onnxruntime', 'onnx', 'gradio', 'fastapi', 'pillow')}

## Small files""", small_rows(small), tail)


def main() -> None:
    "Measure, and write results/deploy.md"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=1200)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder: measure(args, Path(folder))


if __name__ == "__main__": main()
