"""Train the network of the first page and write it for the page in the browser.

    python -m tools.build.web_model FOLDER [--pictures N]

The folder then holds `model.onnx` (the small file: input `pictures` uint8 [batch, size, size, 3], output
`probabilities` float32 [batch, classes]), `labels.json` (the names of the classes, in the order of the outputs),
`float.onnx` (the file before its weights were stored small), and what a test needs to compare with: N pictures that
nothing was trained on, as files in `pictures/`, each cut to the square that the model takes, as PNG, in `squares/`, and
`parity.json`:

    {"size": 64, "tolerance": 1e-05, "labels": [...], "pictures": [{"picture": "pictures/beagle_1.jpg",
     "square": "squares/beagle_1.png", "shows": "beagle", "probabilities": [...]}, ...]}

The probabilities are those that onnxruntime computes here with `model.onnx` from the square.
"""
import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.core import seed_everything
from course_lib.data import draw_pets, get
from course_lib.deploy import Answers, export_onnx, open_picture, quantize, to_square


def breed(name: str) -> str:
    "What a file of the pets shows, by its name"
    return name.rpartition("_")[0]


def train(seed: int = 42):
    "The ten lines of the first page, without their output"
    from fastai.vision.all import ImageDataLoaders, Resize, get_image_files

    from course_lib.fine_tuning import learner
    seed_everything(seed)
    pets = get("pets", quiet=True)
    loaders = ImageDataLoaders.from_name_func(pets, get_image_files(pets/"images"), breed, seed=seed,
                                              item_tfms=Resize(64), bs=32, num_workers=0)
    learn = learner(loaders, "resnet10")
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(2, 8e-3)
    return learn


def squares(files: list[Path], size: int) -> np.ndarray:
    "Pictures as the model takes them, uint8 [N, size, size, 3]"
    return np.stack([to_square(open_picture(f.read_bytes()), size) for f in files])


def write(folder: Path, pictures: int):
    "Fill the folder, and hand back the Learner"
    folder.mkdir(parents=True, exist_ok=True)
    learn = train()
    export_onnx(learn, folder/"float.onnx")
    calibration = squares(list(learn.dls.train_ds.items[:128]), 64)
    print(quantize(folder/"float.onnx", calibration, small=folder/"model.onnx"))
    answers = Answers(folder/"model.onnx")
    (folder/"labels.json").write_text(json.dumps(list(answers.labels), indent=1), encoding="utf-8")
    for name in ("pictures", "squares"): shutil.rmtree(folder/name, ignore_errors=True), (folder/name).mkdir()
    with tempfile.TemporaryDirectory() as made:
        each = -(-pictures//len(answers.labels))
        drawn = draw_pets(Path(made)/"pets", n_per_breed=each, seed=7, label_errors=0, near_duplicates=0)
        names = sorted((drawn/"images").glob("*.jpg"), key=lambda f: (int(f.stem.rpartition("_")[2]), f.stem))
        files = [Path(shutil.copy(f, folder/"pictures")) for f in names[:pictures]]
    cut = squares(files, answers.size)
    rows = []
    for file, square, found in zip(files, cut, answers.probabilities(cut).tolist()):
        Image.fromarray(square).save(folder/"squares"/f"{file.stem}.png")
        rows.append({"picture": f"pictures/{file.name}", "square": f"squares/{file.stem}.png",
                     "shows": breed(file.name), "probabilities": found})
    about = {"size": answers.size, "tolerance": 1e-5, "labels": list(answers.labels), "pictures": rows}
    (folder/"parity.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    right = sum(answers.labels[int(np.argmax(r["probabilities"]))] == r["shows"] for r in rows)
    print(f"{right} of {len(rows)} pictures named rightly")
    return learn


def main() -> None:
    "Read the command"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--pictures", type=int, default=24, help="how many to compare, 12 breeds in turn")
    args = parser.parse_args()
    write(args.folder, args.pictures)


if __name__ == "__main__": main()
