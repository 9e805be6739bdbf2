"One small network for all tests of the chapter, written once"
import pytest


@pytest.fixture(scope="session")
def learn():
    "A Learner for twelve breeds whose head has random weights"
    from fastai.vision.all import ImageDataLoaders, Resize, get_image_files

    from course_lib.core import seed_everything
    from course_lib.data import get
    from course_lib.fine_tuning import learner
    seed_everything(0)
    pets = get("pets", quiet=True)
    files = sorted(get_image_files(pets/"images"))[::4]
    dls = ImageDataLoaders.from_name_func(pets, files, lambda n: n.rpartition("_")[0], seed=0, num_workers=0,
                                          item_tfms=Resize(64), bs=16)
    return learner(dls, "resnet10")


@pytest.fixture(scope="session")
def model(learn, tmp_path_factory):
    "Its ONNX file"
    from course_lib.deploy import export_onnx
    path = tmp_path_factory.mktemp("deploy")/"pets.onnx"
    assert export_onnx(learn, path).holds
    return path
