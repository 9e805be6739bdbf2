"""What `course_lib.datablocks` promises: `check_data` finds each planted fault and nothing on clean data, `trace` shows the real
pipeline, and bad input is named."""
import pickle
import random
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import (ColReader, FuncSplitter, GrandparentSplitter, IntToFloatTensor, Normalize, get_image_files,
                                    parent_label)
from fastai.torch_core import to_device
from fastai.vision.augment import Flip, RandomResizedCrop, Resize
from fastai.vision.core import imagenet_stats
from fastai.vision.data import BBoxBlock, BBoxLblBlock, ImageBlock
from PIL import Image, ImageFile

from course_lib.datablocks import (Finding, GroupSplitter, NameLabeller, Report, apply_choices, chance_at_k, check_data,
                                   picture_hash, precision_at_k, top_losses, trace)

STATS = [0.5]*3, [0.25]*3


def picture(seed: int, size=(120, 90)) -> Image.Image:
    "Smooth random blobs: no two seeds look alike"
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    "train/ and valid/, three labels, eight and four different pictures of each"
    for s, (side, n) in enumerate((("train", 8), ("valid", 4))):
        for l, label in enumerate(("ant", "bee", "cat")):
            (tmp_path/side/label).mkdir(parents=True)
            for i in range(n): picture(1000*s + 100*l + i).save(tmp_path/side/label/f"{label}_{i}.jpg", quality=95)
    return tmp_path


def block(item_tfms=Resize(64), batch_tfms=None, **kwargs) -> DataBlock:
    defaults = dict(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, splitter=GrandparentSplitter())
    return DataBlock(**(defaults | kwargs), item_tfms=item_tfms,
                     batch_tfms=[Normalize.from_stats(*STATS)] if batch_tfms is None else batch_tfms)


def loaders(folder, **kwargs): return block(**kwargs).dataloaders(folder, bs=8, num_workers=0)


def kinds(report) -> set: return {f.kind for f in report.findings}


# check

def test_clean_data_gives_no_finding(folder):
    report = check_data(loaders(folder))
    assert report.findings == () and report.ok
    assert report.n_files == (24, 12) and report.counts == {l: (8, 4) for l in ("ant", "bee", "cat")}
    assert report.sizes == ((120, 90), (120, 90))
    assert "24 train and 12 valid files, 3 labels, 120-120 pixels wide and 90-90 high: no findings" == repr(report)
    assert "<table" not in report._repr_html_()


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "missing"])
def test_unreadable_file(folder, damage):
    dls, bad = loaders(folder), folder/"valid"/"bee"/"bee_2.jpg"
    if damage == "missing": bad.unlink()
    else: bad.write_bytes({"empty": b"", "text": b"<html>not found</html>", "truncated": bad.read_bytes()[:-400]}[damage])
    report = check_data(dls)
    assert kinds(report) == {"unreadable"} and report.of("unreadable") == (bad,) and not report.ok
    assert report.findings[0].severity == "error"


def test_truncated_file_is_found_even_where_pillow_was_told_to_accept_it(folder, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    bad = folder/"train"/"ant"/"ant_3.jpg"
    bad.write_bytes(bad.read_bytes()[:-400])
    assert check_data(loaders(folder)).of("unreadable") == (bad,)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_label_missing_from_one_side(folder):
    for f in (folder/"valid"/"cat").iterdir(): f.unlink()
    report = check_data(loaders(folder))
    assert kinds(report) == {"not in valid"} and report.of("not in valid") == ("cat",)
    for f in (folder/"train"/"bee").iterdir(): f.unlink()
    report = check_data(loaders(folder))
    assert report.of("not in train") == ("bee",) and report.findings[0].severity == "error"


def test_label_of_the_vocabulary_without_pictures(folder):
    report = check_data(loaders(folder, blocks=(ImageBlock, CategoryBlock(vocab=["ant", "bee", "cat", "dog"]))))
    assert report.of("no pictures") == ("dog",) and report.ok


def test_exact_duplicate_across_the_split(folder):
    a, b = folder/"train"/"ant"/"ant_0.jpg", folder/"valid"/"ant"/"copy.jpg"
    b.write_bytes(a.read_bytes())
    report = check_data(loaders(folder))
    assert kinds(report) == {"duplicate"} and set(report.of("duplicate")[0]) == {a, b}


@pytest.mark.parametrize("change", ["quality", "smaller", "brighter", "shifted"])
def test_near_duplicate_across_the_split(folder, change):
    a, b = folder/"train"/"bee"/"bee_1.jpg", folder/"valid"/"bee"/"again.jpg"
    im = Image.open(a)
    im = {"quality": lambda: im, "smaller": lambda: im.resize((80, 60)), "brighter": lambda: im.point(lambda v: min(255, v + 20)),
          "shifted": lambda: im.crop((2, 2, 120, 90))}[change]()
    im.save(b, quality=50)
    report = check_data(loaders(folder))
    assert kinds(report) == {"near-duplicate"} and set(report.of("near-duplicate")[0]) == {a, b}
    assert report.findings[0].severity == "warning"


def test_same_picture_under_two_labels_and_on_one_side(folder):
    a, b = folder/"train"/"ant"/"ant_0.jpg", folder/"train"/"cat"/"ant_0.jpg"
    b.write_bytes(a.read_bytes())
    report = check_data(loaders(folder))
    assert kinds(report) == {"two labels", "repeat"} and set(report.of("two labels")[0]) == {a, b}


@pytest.mark.parametrize("tfms", [[], [Normalize.from_stats(*STATS), "again"], [IntToFloatTensor(div=1.)]], ids=["none", "twice", "0 to 255"])
def test_values_not_normalised(folder, tfms):
    class Normalize2(Normalize): order = 100
    tfms = [Normalize2.from_stats(*imagenet_stats) if t == "again" else t for t in tfms]
    dls = loaders(folder, batch_tfms=tfms)
    assert kinds(check_data(dls)) == {"not normalised"}


def test_not_finite_values(folder):
    assert kinds(check_data(loaders(folder, batch_tfms=[Normalize.from_stats([0.5]*3, [0., 1., 1.])]))) == {"not finite"}


def test_imbalance_and_its_limit(folder):
    for i in range(2, 8): (folder/"train"/"cat"/f"cat_{i}.jpg").unlink()  # 8, 8, 2
    assert check_data(loaders(folder)).ok
    report = check_data(loaders(folder), imbalance=3.9)
    assert kinds(report) == {"imbalance"} and report.of("imbalance")[1] == "cat"
    assert check_data(loaders(folder), imbalance=4).ok


def test_sizes(folder):
    picture(9001, (400, 100)).save(folder/"train"/"ant"/"long.jpg")
    picture(9002, (30, 40)).save(folder/"valid"/"bee"/"small.jpg")
    report = check_data(loaders(folder))
    assert report.of("long") == (folder/"train"/"ant"/"long.jpg",) and report.of("small") == (folder/"valid"/"bee"/"small.jpg",)
    assert report.sizes == ((30, 40), (400, 100))


def test_items_of_mixed_size_do_not_make_a_batch(folder):
    picture(9001, (100, 100)).save(folder/"train"/"ant"/"other.jpg")
    dls = block(item_tfms=[], batch_tfms=[]).dataloaders(folder, bs=64, num_workers=0)
    assert kinds(check_data(dls)) == {"batch"}


def test_valid_file_without_a_label(folder):
    (folder/"valid"/"ant"/"ant_0.jpg").rename(folder/"valid"/"ant"/"0.jpg")
    report = check_data(loaders(folder, get_y=NameLabeller(r"^([a-z]+)_\d+\.jpg$")))
    assert kinds(report) == {"unlabelled"} and report.of("unlabelled") == (folder/"valid"/"ant"/"0.jpg",)
    assert report.n_files == (24, 12)


def test_empty_side(folder):
    assert "empty" in kinds(check_data(loaders(folder, splitter=FuncSplitter(lambda o: False))))


def test_findings_come_worst_first_and_print(folder):
    (folder/"train"/"ant"/"ant_0.jpg").write_bytes(b"")
    report = check_data(loaders(folder, batch_tfms=[]))
    assert [f.severity for f in report.findings] == ["error", "warning"]
    assert "unreadable" in repr(report) and "mend:" in repr(report) and "<td" in report._repr_html_()
    assert "&lt;b&gt;" in Report((Finding("note", "k", "<b>", (), "m"),), (1, 1), {}, None)._repr_html_()


def test_table_multi_label_and_regression_targets(folder):
    files = get_image_files(folder)
    df = pd.DataFrame(dict(name=[str(f) for f in files], kinds=["ant bee" if "ant" in f.name else "cat" for f in files],
                           number=[float(i) for i in range(len(files))], is_valid=[f.parent.parent.name == "valid" for f in files]))
    by_col = FuncSplitter(lambda row: row.is_valid)
    split = lambda o: by_col([r for _, r in o.iterrows()])
    table = dict(get_items=None, splitter=split, get_x=ColReader("name"))
    report = check_data(loaders(df, blocks=(ImageBlock, MultiCategoryBlock), get_y=ColReader("kinds", label_delim=" "), **table))
    assert report.counts == {"ant": (8, 4), "bee": (8, 4), "cat": (16, 8)} and report.ok
    report = check_data(loaders(df, blocks=(ImageBlock, RegressionBlock), get_y=ColReader("number"), **table))
    assert report.counts == {} and report.ok
    df.loc[3, "name"] = str(folder/"nowhere.jpg")
    dls = loaders(df, blocks=(ImageBlock, MultiCategoryBlock), get_y=ColReader("kinds", label_delim=" "), **table)
    assert check_data(dls).of("unreadable") == (folder/"nowhere.jpg",)


def test_check_leaves_random_state_and_files(folder):
    dls = loaders(folder, batch_tfms=[Flip(), Normalize.from_stats(*STATS)])
    before = sorted((f, f.stat().st_mtime_ns) for f in folder.rglob("*"))
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    check_data(dls)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert before == sorted((f, f.stat().st_mtime_ns) for f in folder.rglob("*"))


def test_check_bad_input(folder):
    dls = loaders(folder)
    for kwargs in (dict(bits=65), dict(alike=2), dict(imbalance=0.5)):
        with pytest.raises(ValueError, match=next(iter(kwargs))): check_data(dls, **kwargs)
    with pytest.raises(TypeError, match="DataLoaders"): check_data(dls.train)
    with pytest.raises(TypeError, match="DataLoaders"): check_data(object())


def test_picture_hash_sees_shape_not_brightness():
    grey = [np.asarray(picture(i).convert("L").resize((32, 32)), dtype=float) for i in range(20)]
    hashes = [picture_hash(g) for g in grey]
    assert all(picture_hash(0.5*g + 60) == h for g, h in zip(grey, hashes))
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > 12
    assert all(0 <= h < 2**64 for h in hashes)


def test_the_old_name_of_check_data_still_answers():
    import course_lib.datablocks as blocks
    with pytest.warns(DeprecationWarning, match="check is now called check_data"): assert blocks.check is check_data


def two_targets(folder, **kwargs):
    "The label of the folder, and whether the number in the name is even"
    return loaders(folder, blocks=(ImageBlock, CategoryBlock, CategoryBlock), n_inp=1,
                   get_y=[parent_label, lambda f: "even" if int(f.stem[-1]) % 2 == 0 else "ant"], **kwargs)


def test_two_category_targets_are_counted_apart(folder):
    report = check_data(two_targets(folder))
    assert report.ok and report.counts == {**{f"y0: {l}": (8, 4) for l in ("ant", "bee", "cat")},
                                           "y1: ant": (12, 6), "y1: even": (12, 6)}  # 'ant' stands in both, and is two things
    for f in (folder/"valid"/"cat").iterdir(): f.unlink()
    assert check_data(two_targets(folder)).of("not in valid") == ("y0: cat",)


def test_imbalance_is_looked_for_in_each_target_alone(folder):
    for side in ("train", "valid"):
        for f in (folder/side/"cat").iterdir(): f.unlink()
    for i in range(2, 8): (folder/"train"/"bee"/f"bee_{i}.jpg").unlink()  # y0: 8 and 2; y1: 5 and 5
    report = check_data(two_targets(folder), imbalance=3)
    assert report.of("imbalance") == ("y0: ant", "y0: bee") and check_data(two_targets(folder), imbalance=4).of("imbalance") == ()


def test_a_category_beside_a_number_or_several_labels(folder):
    number = loaders(folder, blocks=(ImageBlock, CategoryBlock, RegressionBlock), n_inp=1, get_y=[parent_label, lambda f: float(f.stem[-1])])
    assert check_data(number).counts == {l: (8, 4) for l in ("ant", "bee", "cat")}  # one category: no name before it
    both = loaders(folder, blocks=(ImageBlock, MultiCategoryBlock, CategoryBlock), n_inp=1, get_y=[lambda f: [parent_label(f), "insect"], parent_label])
    assert check_data(both).counts["y0: insect"] == (24, 12) and check_data(both).counts["y1: cat"] == (8, 4)


def grey_levels(i: int, top: float, kind) -> np.ndarray:
    "Blobs in grey, from 0 to `top`"
    grey = np.asarray(picture(i, (60, 60)).convert("L"), dtype=float)
    return (grey/255*top).astype(kind)


@pytest.mark.parametrize("kind, top, ending, said", [(np.uint16, 60_000, "png", "white"), (np.uint16, 60_000, "tif", "white"),
    (np.int32, 1_000_000, "tif", "white"), (np.float32, 1., "tif", "black"), (np.float32, 4000., "tif", "white")])
def test_pictures_of_more_than_8_bits(folder, kind, top, ending, said):
    "Values that the loader cuts are said, and twins among such pictures are found, near ones and exact ones"
    for side in ("train", "valid"):
        for f in (folder/side).rglob("*.jpg"):
            i = 1000*(side == "valid") + 100*"abc".index(f.parent.name[0]) + int(f.stem[-1])
            Image.fromarray(grey_levels(i, top, kind)).save(f.with_suffix("." + ending))
            f.unlink()
    dls = lambda: loaders(folder, item_tfms=Resize(32))
    report = check_data(dls())
    assert len(report.of("cut values")) == 36 and said in report.findings[0].what and report.findings[0].severity == "error"
    assert not {"duplicate", "near-duplicate", "repeat", "two labels", "unreadable"} & kinds(report)
    a, b = folder/"train"/"ant"/f"ant_0.{ending}", folder/"valid"/"ant"/f"near.{ending}"
    Image.fromarray((grey_levels(0, top, kind)*.9).astype(kind)).save(b)
    c, d = folder/"train"/"bee"/f"bee_1.{ending}", folder/"valid"/"bee"/f"same.{ending}"
    d.write_bytes(c.read_bytes())
    report = check_data(dls())
    assert [set(p) for p in report.of("near-duplicate")] == [{a, b}] and [set(p) for p in report.of("duplicate")] == [{c, d}]


def test_deep_pictures_that_lose_nothing_are_no_finding(folder):
    for f in [*folder.rglob("*.jpg")]:
        i = 1000*(f.parent.parent.name == "valid") + 100*"abc".index(f.parent.name[0]) + int(f.stem[-1])
        Image.fromarray(grey_levels(i, 255, np.uint16)).save(f.with_suffix(".png"))
        f.unlink()
    assert "cut values" not in kinds(check_data(loaders(folder, item_tfms=Resize(32))))


# trace

@pytest.mark.parametrize("split", [0, 1])
def test_trace_ends_where_the_real_pipeline_ends(folder, split):
    dblock = block(batch_tfms=[Normalize.from_stats(*STATS)])
    rows = trace(dblock, folder, index=5, split=split)
    dl = dblock.dataloaders(folder, num_workers=0)[split]
    item, batch = dl.do_item(5), dl.after_batch(to_device(dl.do_batch([dl.do_item(5)]), dl.device))
    last = rows[rows.part == "x"].iloc[-1]
    assert last["type"] == "TensorImage float32" and last["shape"] == tuple(batch[0].shape) == (1, 3, 64, 64)
    assert last["range"] == f"{batch[0].min().item():.4g} to {batch[0].max().item():.4g}"
    tensor = rows[rows.function == "ToTensor"].iloc[0]
    assert tensor["shape"] == tuple(item[0].shape) and tensor["range"] == f"{int(item[0].min())} to {int(item[0].max())}"
    assert rows[rows.function == "Categorize"].iloc[0]["range"] == str(int(batch[1][0]))
    assert list(rows.function[rows.stage == "type_tfms"]) == ["PILBase.create", "parent_label", "Categorize"]
    assert list(rows.function[rows.stage == "item_tfms"]) == ["Resize", "ToTensor"]
    assert list(rows.function[rows.stage == "batch_tfms"]) == ["IntToFloatTensor", "Normalize"]
    assert rows.iloc[0]["range"] == dl.dataset.items[5].name


def test_trace_applies_augmentation_on_the_training_side_only(folder):
    dblock = block(item_tfms=RandomResizedCrop(64, min_scale=0.1, max_scale=0.2), batch_tfms=[])
    seen = {0: set(), 1: set()}
    for i in range(6):
        random.seed(i)
        for s in (0, 1): seen[s].add(trace(dblock, folder, split=s).query("function == 'ToTensor'")["range"].item())
    assert len(seen[0]) > 1 and len(seen[1]) == 1


def test_trace_leaves_recipe_and_random_state_alone(folder):
    dblock = block(batch_tfms=[Normalize()])
    states = random.getstate(), torch.get_rng_state().tolist()
    trace(dblock, folder)
    assert states == (random.getstate(), torch.get_rng_state().tolist())
    assert dblock.type_tfms[1][0].vocab is None and next(t for t in dblock.batch_tfms if isinstance(t, Normalize)).mean is None


def test_trace_of_pictures_without_a_target(folder):
    rows = trace(block(blocks=(ImageBlock,), get_y=None), folder)
    assert set(rows.part) == {"x"} and rows.iloc[-1]["shape"] == (1, 3, 64, 64)


@pytest.mark.parametrize("index, n", [(0, 0), (1, 2)])
def test_trace_of_an_item_without_labels_or_boxes(folder, index, n):
    "A picture in which nothing was marked, beside one with two things"
    marked = {f.name: ([[5, 5, 40, 40], [10, 20, 50, 60]], ["wing", "leg"]) if f.name.endswith("1.jpg") else ([], [])
              for f in get_image_files(folder)}
    files = lambda o: sorted(get_image_files(o))
    boxes = DataBlock((ImageBlock, BBoxBlock, BBoxLblBlock(vocab=["leg", "wing"])), get_items=files, n_inp=1, item_tfms=Resize(64),
                      get_y=[lambda f: marked[f.name][0], lambda f: marked[f.name][1]], splitter=GrandparentSplitter())
    rows = trace(boxes, folder, index=index)
    created = rows[(rows.part == "y0") & (rows.stage == "type_tfms")].iloc[-1]
    assert created["shape"] == (n, 4) and (created["range"] == "empty") == (n == 0)
    assert rows[(rows.part == "x")].iloc[-1]["shape"] == (1, 3, 64, 64)
    labels = DataBlock((ImageBlock, MultiCategoryBlock(vocab=["leg", "wing"])), get_items=files, item_tfms=Resize(64),
                       get_y=lambda f: marked[f.name][1], splitter=GrandparentSplitter())
    rows = trace(labels, folder, index=index)
    assert rows[rows.part == "y"].iloc[-1]["shape"] == (1, 2)


def test_trace_bad_input(folder):
    with pytest.raises(IndexError, match="index must be from 0 to 23"): trace(block(), folder, index=24)
    with pytest.raises(IndexError, match="from 0 to 11 in split 1"): trace(block(), folder, index=-1, split=1)
    with pytest.raises(IndexError, match="split must be from 0 to 1"): trace(block(), folder, split=2)


# labels and splits

def test_name_labeller():
    label = NameLabeller(r"^(.+)_\d+\.jpg$")
    assert label("a/b/great_pyrenees_17.jpg") == "great_pyrenees" and pickle.loads(pickle.dumps(label))("Bombay_1.jpg") == "Bombay"
    with pytest.raises(ValueError, match=r"'pets_7/notes\.txt'.*\\d"): label("pets_7/notes.txt")
    with pytest.raises(ValueError, match="one group"): NameLabeller(r"^.+_\d+\.jpg$")
    with pytest.raises(ValueError, match="one group"): NameLabeller(r"^(.+)_(\d+)\.jpg$")
    with pytest.raises(ValueError, match="does not match"): NameLabeller(r"^(.*)_\d+\.jpg$")("_1.jpg")


def test_group_splitter_keeps_groups_whole_and_the_global_generator():
    items = [f"{g}-{i}" for g in range(10) for i in range(g + 1)]
    state = torch.get_rng_state()
    split = GroupSplitter(lambda o: o.split("-")[0], 0.3, seed=1)
    train, valid = split(items)
    assert state.equal(torch.get_rng_state()) and split(items) == (train, valid)
    groups = lambda idx: {items[i].split("-")[0] for i in idx}
    assert sorted(train + valid) == list(range(len(items))) and not groups(train) & groups(valid) and len(groups(valid)) == 3
    assert len({tuple(GroupSplitter(lambda o: o.split("-")[0], 0.3, seed=s)(items)[1]) for s in range(8)}) > 1
    assert len(GroupSplitter(str, 0.01)(["a", "b", "c"])[1]) == 1 and len(GroupSplitter(str, 0.99)(["a", "b", "c"])[0]) == 1
    with pytest.raises(ValueError, match="at least 2 groups"): GroupSplitter(lambda o: 0)(items)
    with pytest.raises(ValueError, match="valid_pct"): GroupSplitter(str, 1.)


def test_items_without_a_group_are_named():
    "NaN is not equal to itself: a splitter that compares would make a group of every such item"
    items = ["a", "b", "c", "d"]
    for missing in (float("nan"), np.float32("nan"), np.datetime64("NaT"), np.timedelta64("NaT"), None, pd.NA, pd.NaT, ("a", float("nan")), ("a", ("b", None)), Decimal("NaN"),
                    complex("nan"), np.ma.masked):
        groups = dict(zip(items, ["rex", "tom", missing, missing]))
        with pytest.raises(ValueError, match="2 items have no group, the first is item 2, 'c'"): GroupSplitter(groups.get)(items)
    table = pd.DataFrame(dict(owner=["ann", None, "bob", "ann"]))
    with pytest.raises(ValueError, match="1 items have no group"): GroupSplitter(lambda row: row.owner)(table)
    train, valid = GroupSplitter(lambda row: row.owner, 0.4)(table.fillna("eve").set_index(pd.Index([7, 8, 9, 10])))  # rows, not columns
    assert sorted(train + valid) == [0, 1, 2, 3] and (0 in train) == (3 in train)
    train, valid = GroupSplitter(str, 0.4)(pd.Series(list("abca"), index=[5, 6, 7, 8]))
    assert sorted(train + valid) == [0, 1, 2, 3] and (0 in train) == (3 in train)
    with pytest.raises(ValueError, match="1 items have no group"): GroupSplitter(lambda row: row.owner)([r for _, r in table.iterrows()])
    for alike in (torch.tensor(1), np.array([1]), ["rex"]):  # compared by what they are, not by what they hold
        with pytest.raises(TypeError, match="plain value"): GroupSplitter(lambda o: alike)(items)
    train, valid = GroupSplitter({"a": np.int64(1), "b": 1, "c": pd.Timestamp("2020"), "d": ("x", 1)}.get, 0.3)(items)
    assert sorted(train + valid) == [0, 1, 2, 3] and (0 in train) == (1 in train)


# ranking and cleaning

def test_precision_and_chance():
    assert precision_at_k([True, False, True, True], 3) == pytest.approx(2/3)
    for k in (0, 5):
        with pytest.raises(ValueError, match="from 1 to 4"): precision_at_k([1, 0, 0, 0], k)
    e = chance_at_k(100, 10, 20)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.permutation([1]*10 + [0]*90)[:20].mean() for _ in range(4000)])
    assert e.value == 0.1 and abs(drawn.mean() - e.value) < 0.005 and np.mean((drawn >= e.low) & (drawn <= e.high)) >= 0.95
    assert np.mean((drawn > e.low) & (drawn < e.high)) < 0.95
    with pytest.raises(ValueError, match="errors must be"): chance_at_k(10, 11, 5)


def cleaner(files, choices):
    "The part of ImageClassifierCleaner's interface that `apply_choices` uses"
    return SimpleNamespace(fns=files, delete=lambda: [i for i, c in enumerate(choices) if c == "<Delete>"],
                           change=lambda: [(i, c) for i, c in enumerate(choices) if c[0] != "<"])


def test_apply_choices(folder):
    files = [folder/"train"/"ant"/f"ant_{i}.jpg" for i in range(4)]
    (folder/"train"/"bee"/"ant_2.jpg").write_bytes(b"already here")
    bytes_2 = files[2].read_bytes()
    done = apply_choices(cleaner(files, ["<Keep>", "<Delete>", "bee", "dog"]), folder)
    assert files[0].exists() and not any(f.exists() for f in files[1:])
    assert done == [(files[1], None), (files[2], folder/"train"/"bee"/"ant_2_1.jpg"), (files[3], folder/"train"/"dog"/"ant_3.jpg")]
    assert (folder/"train"/"bee"/"ant_2.jpg").read_bytes() == b"already here" and done[1][1].read_bytes() == bytes_2
    with pytest.raises(FileNotFoundError, match="applied before"): apply_choices(cleaner(files, ["<Keep>", "<Delete>", "bee", "dog"]), folder)


def test_apply_choices_touches_nothing_if_one_file_is_outside(folder):
    files = [folder/"train"/"ant"/"ant_0.jpg", folder/"valid"/"ant"/"ant_1.jpg"]
    with pytest.raises(ValueError, match="clean a copy"): apply_choices(cleaner(files, ["<Delete>", "<Delete>"]), folder/"train")
    assert all(f.exists() for f in files)


class ByMean(torch.nn.Module):
    "Calls every picture by its brightness, so that its losses are known"
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
    def forward(self, x): return self.scale*torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3)), torch.zeros(len(x), device=x.device)], 1)


@pytest.mark.parametrize("ds_idx", [0, 1])
def test_top_losses_equal_the_model_without_augmentation(folder, ds_idx):
    from fastai.learner import Learner
    from torch.nn.functional import cross_entropy
    dls = loaders(folder, item_tfms=RandomResizedCrop(64, min_scale=0.1, max_scale=0.2))
    learn = Learner(dls, ByMean(), loss_func=torch.nn.CrossEntropyLoss())
    table = top_losses(learn, ds_idx)
    dl = dls.test_dl([*table.file], with_labels=True)
    x, y = (torch.cat([b.as_subclass(torch.Tensor) for b in t]) for t in zip(*dl))
    logits = learn.model(x).detach()
    assert len(table) == (24, 12)[ds_idx] and table.loss.is_monotonic_decreasing
    np.testing.assert_allclose(table.loss, cross_entropy(logits, y.long(), reduction="none").cpu(), rtol=1e-5)
    np.testing.assert_allclose(table.p_label, np.exp(-table.loss), rtol=1e-5)
    assert [dls.vocab[i] for i in logits.argmax(1)] == [*table.predicted]
    assert all(f.parent.name == l for f, l in zip(table.file, table.label))


# real photos

@pytest.mark.real
def test_real_pets_are_built_checked_and_trained_on(tmp_path):
    import os
    if not os.environ.get("COURSE_LIB_DATA"): pytest.skip("COURSE_LIB_DATA is not set")
    from fastai.vision.all import Learner, RandomSplitter, accuracy
    from scipy.stats import binomtest
    from torch import nn

    from course_lib.core import seed_everything
    from course_lib.data import get
    images = get("oxford-iiit-pet")/"images"
    files = get_image_files(images)
    assert len(files) >= 595 and not (images.parent/"planted.csv").exists()
    dblock = block(get_y=NameLabeller(r"^(.+)_\d+\.jpg$"), splitter=RandomSplitter(0.3, seed=1), batch_tfms=[Normalize.from_stats(*imagenet_stats)])
    dls = dblock.dataloaders(images, bs=32, num_workers=0)
    report = check_data(dls)
    assert not {f.kind for f in report.findings if f.severity == "error"} and sum(report.n_files) == len(files)
    assert not {"duplicate", "near-duplicate", "repeat", "not normalised"} & kinds(report) and len(report.counts) == 37
    assert report.sizes[0][0] >= 100
    rows = trace(dblock, images)
    assert rows["type"].iloc[-1] == "TensorImage float32"

    def stage(i, o): return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    for f in files:
        with Image.open(f) as im:
            im = im.convert("RGB")
            im.thumbnail((160, 160))
            im.save(tmp_path/f.name, quality=95)  # decoded once, not in every epoch
    dls = block(item_tfms=Resize(48), get_items=lambda folder: sorted(get_image_files(folder)), get_y=NameLabeller(r"^(.+)_\d+\.jpg$"),
                splitter=RandomSplitter(0.3, seed=1), batch_tfms=[Normalize.from_stats(*imagenet_stats)]).dataloaders(tmp_path, bs=32, num_workers=0)
    seed_everything(1)
    dls.train.rng.seed(1)  # otherwise the order of the batches is another one in every run
    learn = Learner(dls, nn.Sequential(*stage(3, 16), *stage(16, 32), *stage(32, 64), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(64, dls.c)), metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(8, 1e-2)
    train_loss, _, accuracy_at_end = learn.recorder.values[-1]  # now: predicting adds a row of its own
    table = top_losses(learn)
    right = int((table.label == table.predicted).sum())
    assert train_loss < np.log(37) - 0.2  # three seeds: 3.01 to 3.10, where guessing gives 3.61
    assert binomtest(right, len(table), 1/37, alternative="greater").pvalue < 0.1, f"{right} of {len(table)} right"  # 2e-6 to 0.0035
    assert right/len(table) == pytest.approx(accuracy_at_end, abs=1e-6)
