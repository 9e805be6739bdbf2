"""What Pillow makes of some squares, to test src/resize.ts: `python web/scripts/pillow.py` prints tests/pillow.json"""
import base64
import json

import numpy as np
from PIL import Image

CASES = [(1, 4), (3, 8), (8, 8), (9, 8), (16, 8), (63, 64), (65, 64), (100, 8), (333, 16), (1000, 8)]


def square(side: int) -> np.ndarray:
    "A square of numbers without a pattern, [side, side, 3]: the same in tests/unit.test.ts"
    i = np.arange(side*side*3, dtype=np.uint64)
    return ((i*i*7919 + i*104729) % 65521 % 256).astype(np.uint8).reshape(side, side, 3)


def shrunk(side: int, size: int) -> bytes:
    "The same, as Pillow resizes it"
    return Image.fromarray(square(side)).resize((size, size), Image.Resampling.BILINEAR).tobytes()


def cases() -> list[dict]:
    "All cases"
    return [{"from": a, "to": b, "rgb": base64.b64encode(shrunk(a, b)).decode()} for a, b in CASES]


if __name__ == "__main__": print(json.dumps(cases(), indent=1))
