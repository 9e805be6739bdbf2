"scikit-learn's digits in MNIST's folders."
import csv

import numpy as np
import pytest
from PIL import Image

from course_lib.data import get

def test_digits_are_scikit_learns(clean):
    sk = pytest.importorskip('sklearn.datasets').load_digits()
    path = get('digits')
    files = {f.stem: f for f in path.glob('*/*/*.png')}
    assert len(files) == 1797 == len(list(path.rglob('*.png'))) and {f.name for f in path.iterdir() if f.is_dir()} == {'training', 'testing'}
    for i in (0, 700, 1436, 1437, 1796):
        f = files[str(i)]
        assert f.parent.name == str(sk.target[i]) and f.parent.parent.name == ('training' if i < 1437 else 'testing')
        im = Image.open(f)
        assert im.size == (28, 28) and im.mode == 'L'
        small = np.asarray(im.crop((4, 4, 24, 24)).resize((8, 8), Image.BOX), float)/255*16
        assert np.corrcoef(small.ravel(), sk.images[i].ravel())[0, 1] > .97
    assert get('mnist_png') == path


def test_mnist_sample_default(clean):
    path = get('mnist_sample')
    rows = list(csv.DictReader(open(path/'labels.csv', newline='')))
    assert {r['name'] for r in rows} == {f.relative_to(path).as_posix() for f in path.rglob('*.png')} and len(rows) == 362
    assert all(r['label'] == ('0' if '/3/' in r['name'] else '1') for r in rows)
    assert {r['name'].split('/')[0] for r in rows} == {'train', 'valid'}
