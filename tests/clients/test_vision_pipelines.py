"""A table: `FastPresize` and `BatchPresize` (rows) in the pipelines, data sets and loaders of torchvision (columns).

Each cell has to give what torchvision's own `Resize` gives for the same sample: picture, masks, boxes and labels.
"""
import numpy as np
import pytest
import torch
from fastai.torch_core import TensorImage
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import datasets, transforms, tv_tensors
from torchvision.transforms import v2

from course_lib.presizing import BatchPresize, Draw, FastPresize

W, H, SIZE, N = 96, 64, (32, 48), 6
STILL = dict(min_scale=1., do_flip=False, max_rotate=0., max_zoom=1., max_lighting=0., max_warp=0.)
STATS = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def still(size=SIZE): return FastPresize(size, size, **STILL)


def picture(i):
    y, x = np.mgrid[:H, :W]
    return Image.fromarray(np.stack([x*2 + i, y*3, (x + y) + 5*i], -1).clip(0, 255).astype(np.uint8))


def target(i):
    "A thing for each odd number below i: none, one, two, three"
    rows = [[8.*k, 4.*k, 8.*k + 30, 4.*k + 20] for k in range(i % 4)]
    masks = torch.zeros(len(rows), H, W, dtype=torch.bool)
    for k, (l, t, r, b) in enumerate(rows): masks[k, int(t):int(b), int(l):int(r)] = True
    return {"boxes": tv_tensors.BoundingBoxes(torch.tensor(rows).reshape(-1, 4), format="XYXY", canvas_size=(H, W)), "masks": tv_tensors.Mask(masks),
            "labels": torch.arange(len(rows)), "image_id": i}


class Things(Dataset):
    "Pictures with targets, through a pipeline"
    def __init__(self, tfms): self.tfms = tfms
    def __len__(self): return N
    def __getitem__(self, i):
        if i >= N: raise IndexError(i)
        return self.tfms(picture(i), target(i))


def close(got, want):
    "The same picture within the rounding of two filters, and the same targets"
    (x, t), (u, v) = got, want
    assert type(x) is type(u) and x.shape == u.shape and x.dtype == u.dtype
    assert (x.float() - u.float()).abs().mean() < (2 if x.dtype == torch.uint8 else 2/255/0.2)
    assert torch.allclose(t["boxes"], v["boxes"], atol=1e-3) and t["boxes"].canvas_size == v["boxes"].canvas_size and t["boxes"].format == v["boxes"].format
    assert (t["masks"] != v["masks"]).float().mean() < 0.02 if len(v["masks"]) else t["masks"].shape == v["masks"].shape
    assert t["labels"].tolist() == v["labels"].tolist() and t["image_id"] == v["image_id"]


PIPELINES = {
    "Compose": lambda resize: v2.Compose([v2.ToImage(), resize]),
    "alone": lambda resize: resize if isinstance(resize, FastPresize) else v2.Compose([v2.ToImage(), resize]),
    "to float and normalised": lambda resize: v2.Compose([v2.ToImage(), resize, v2.ToDtype(torch.float32, scale=True), v2.Normalize(*STATS)]),
    "behind a flip": lambda resize: v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(1.), resize]),
    "before a flip": lambda resize: v2.Compose([v2.ToImage(), resize, v2.RandomVerticalFlip(1.)]),
    "RandomApply": lambda resize: v2.Compose([v2.ToImage(), v2.RandomApply([resize], p=1.)]),
    "RandomChoice": lambda resize: v2.Compose([v2.ToImage(), v2.RandomChoice([resize, resize])]),
    "RandomOrder": lambda resize: v2.Compose([v2.ToImage(), v2.RandomOrder([resize])]),
    "with sanitised boxes": lambda resize: v2.Compose([v2.ToImage(), resize, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()]),
    "before pure tensors": lambda resize: v2.Compose([v2.ToImage(), resize]),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_of_v2_gives_what_resize_gives(name):
    ours, theirs = Things(PIPELINES[name](still())), Things(PIPELINES[name](v2.Resize(SIZE)))
    for got, want in zip(ours, theirs, strict=False): close(got, want)


def test_a_loader_of_detection_samples():
    def listed(items): return tuple(zip(*items))
    loader = DataLoader(Things(v2.Compose([v2.ToImage(), still()])), 3, collate_fn=listed)
    seen = [(x, t) for xs, ts in loader for x, t in zip(xs, ts)]
    assert len(seen) == N
    for i, sample in enumerate(seen): close(sample, v2.Compose([v2.ToImage(), v2.Resize(SIZE)])(picture(i), target(i)))


def folder(root):
    "A tree of pictures as `ImageFolder` and `VOCDetection` want it"
    for i in range(4):
        for where in (root/"folder"/"ab"[i % 2], root/"VOCdevkit"/"VOC2012"/"JPEGImages"):
            where.mkdir(parents=True, exist_ok=True)
            picture(i).save(where/f"{i}.jpg", quality=95)
    voc = root/"VOCdevkit"/"VOC2012"
    for name in ("Annotations", "ImageSets/Main"): (voc/name).mkdir(parents=True, exist_ok=True)
    (voc/"ImageSets"/"Main"/"train.txt").write_text("\n".join(map(str, range(4))))
    for i in range(4):
        things = "".join(f"<object><name>{'cat' if k else 'dog'}</name><bndbox><xmin>{8*k}</xmin><ymin>{4*k}</ymin><xmax>{8*k + 30}</xmax><ymax>{4*k + 20}</ymax></bndbox></object>"
                         for k in range(1 + i % 2))
        (voc/"Annotations"/f"{i}.xml").write_text(f"<annotation><filename>{i}.jpg</filename>{things}</annotation>")
    return root


def test_an_image_folder_with_transform_and_with_transforms(tmp_path):
    root = folder(tmp_path)/"folder"
    for made in (datasets.ImageFolder(root, transform=still()), datasets.ImageFolder(root, transform=transforms.Compose([still()]))):
        for i, (x, y) in enumerate(made):
            want = v2.functional.resize(v2.functional.to_image(Image.open(made.imgs[i][0])), SIZE)
            assert isinstance(x, torch.Tensor) and (x.float() - want.float()).abs().mean() < 2 and y == made.imgs[i][1]
    x, y = next(iter(DataLoader(datasets.ImageFolder(root, transform=transforms.Compose([still(), transforms.ConvertImageDtype(torch.float32), transforms.Normalize(*STATS)])), 4)))
    assert x.shape == (4, 3, *SIZE) and x.dtype == torch.float32 and x.min() < 0 and y.tolist() == [0, 0, 1, 1]


def test_a_wrapped_detection_data_set(tmp_path):
    made = [datasets.wrap_dataset_for_transforms_v2(datasets.VOCDetection(folder(tmp_path), image_set="train", transforms=t)) for t in (v2.Compose([still()]), v2.Compose([v2.Resize(SIZE)]))]
    for (x, t), (u, v) in zip(*made):
        assert (x.float() - v2.functional.pil_to_tensor(u).float()).abs().mean() < 2
        assert torch.allclose(t["boxes"], v["boxes"].float(), atol=0.51) and t["labels"].tolist() == v["labels"].tolist()   # theirs are whole numbers
    with pytest.raises(TypeError, match="'bndbox'"): datasets.VOCDetection(tmp_path, image_set="train", transforms=v2.Compose([still()]))[0]   # unwrapped: boxes as text


BATCHES = {
    "uint8": lambda x: x, "tv_tensors.Image": tv_tensors.Image, "TensorImage": TensorImage, "float": lambda x: x.float()/255, "half": lambda x: (x.float()/255).half(),
    "channels last": lambda x: (x.float()/255).contiguous(memory_format=torch.channels_last)}


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("packed", ["tensor", "pair", "default collate", "dict"])
def test_a_batch_in_a_pipeline_of_v2(kind, packed):
    x, y = BATCHES[kind](torch.stack([v2.functional.pil_to_tensor(picture(i)) for i in range(N)])), torch.arange(N)
    batch = {"tensor": x, "pair": (x, y), "default collate": [x, y], "dict": {"image": x, "label": y}}[packed]
    pipe = v2.Compose([BatchPresize(still()), v2.ToDtype(torch.float32, scale=True)])
    out = pipe(*batch) if packed == "pair" else pipe(batch)
    got = out if packed == "tensor" else out["image"] if packed == "dict" else out[0]
    want = v2.functional.to_dtype(v2.functional.resize(torch.as_tensor(x).as_subclass(torch.Tensor), SIZE), torch.float32, scale=True)
    assert got.shape == (N, 3, *SIZE) and got.dtype == torch.float32 and (got.as_subclass(torch.Tensor) - want).abs().mean() < 2/255
    if packed != "tensor": assert (out["label"] if packed == "dict" else out[1]).tolist() == y.tolist()


@pytest.mark.parametrize("mix", [v2.MixUp, v2.CutMix])
def test_a_collate_function_that_presizes_and_mixes(mix):
    "As torchvision's guide has it: the mixing is called in the collate function, behind the batch"
    warp, mixed = BatchPresize(FastPresize(32)), mix(num_classes=4)
    items = [(v2.functional.pil_to_tensor(picture(i)).float()/255, i % 4) for i in range(N)]
    x, y = next(iter(DataLoader(items, N, collate_fn=lambda b: mixed(*warp(default_collate(b))))))
    assert x.shape == (N, 3, 32, 32) and y.shape == (N, 4) and torch.allclose(y.sum(1), torch.ones(N))


def test_draws_differ_and_a_draw_can_be_given():
    fast = FastPresize(SIZE)
    pipe = v2.Compose([v2.ToImage(), fast])
    torch.manual_seed(0)
    first, second = pipe(picture(0)), pipe(picture(0))
    torch.manual_seed(0)
    assert not first.equal(second) and pipe(picture(0)).equal(first)
    flip = v2.Compose([v2.ToImage(), v2.Lambda(lambda x: fast(x, draw=Draw(flip=True)))])(picture(0))
    assert (flip.float() - v2.functional.hflip(still()(picture(0))).float()).abs().mean() < 2


def test_pictures_of_numbers_after_the_conversion_are_named():
    with pytest.raises(TypeError, match="before any conversion to float"): v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), still()])(picture(0))
    with pytest.raises(ValueError, match="normalise after"): v2.Compose([v2.Normalize(*STATS), BatchPresize(still())])(torch.rand(2, 3, H, W)*4)
