"Files as strangers send them: what is odd and right, and what has to be refused, with a word of the refusal"
import io
import struct
import zlib

import numpy as np
from PIL import Image

LIMIT = 10_000_000  # bytes that `open_picture` looks at by default


def saved(image, kind, **options):
    "A picture as the bytes of a file"
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def chunk(kind, data):
    "A part of a PNG"
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side):
    "A PNG of side x side grey pixels, made without ever holding them"
    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(bytes(side + 1)) for _ in range(side)) + pack.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def scene(mode="RGB"):
    "A picture with an up and a down, a left and a right"
    x, y = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 80))
    rgb = (255*np.stack([x, y, (x - .3)**2 + (y - .6)**2 < .05], 2)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def turned(image, turn):
    "A PNG that says it has to be turned"
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(image, "PNG", exif=exif)


DEEP = Image.fromarray(np.arange(80*120, dtype=np.uint16).reshape(80, 120)*6)
TRANSPARENT = scene("RGBA")
TRANSPARENT.putalpha(128)
LONG_TEXT = b"\x89PNG\r\n\x1a\n" + saved(scene(), "PNG")[8:33] + chunk(
    b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000))) + saved(scene(), "PNG")[33:]

RIGHT = {  # {name: (file, the picture that it has to be taken for)}
    "plain": (saved(scene(), "PNG"), scene()),
    "CMYK": (saved(scene("CMYK"), "JPEG", quality=95), None),
    "16-bit": (saved(DEEP, "PNG"), Image.fromarray(((np.asarray(DEEP).astype(int) + 128)//257).astype(np.uint8)).convert("RGB")),
    **{f"EXIF {t}": (turned(scene().transpose(back), t), scene()) for t, back in (
        (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270),
        (2, Image.Transpose.FLIP_LEFT_RIGHT), (5, Image.Transpose.TRANSPOSE))},
    "animated WebP": (saved(scene(), "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", (120, 80))]), scene()),
    "animated PNG": (saved(scene(), "PNG", save_all=True, append_images=[Image.new("RGB", (120, 80))]), scene()),
    "transparent": (saved(TRANSPARENT, "PNG"), Image.alpha_composite(Image.new("RGBA", (120, 80), "white"), TRANSPARENT).convert("RGB")),
    "grey": (saved(scene("L"), "JPEG", quality=100), None),
    "one bit": (saved(scene("1"), "PNG"), scene("1").convert("RGB")),
    "palette": (saved(scene("P"), "GIF"), scene("P").convert("RGB")),
    "BMP": (saved(scene(), "BMP"), scene()),
    "one pixel": (saved(Image.new("RGB", (1, 1), "red"), "PNG"), Image.new("RGB", (1, 1), "red")),
    "a line": (saved(Image.new("RGB", (3000, 1), "red"), "PNG"), Image.new("RGB", (3000, 1), "red")),
}

REFUSED = {  # {name: (file, a word of the refusal)}
    "bomb of 81 megapixels": (bomb(9000), "9,000 x 9,000"),
    "bomb beyond Pillow's own limit": (bomb(20_000), "max_pixels"),
    "text of 200 MB in a PNG": (LONG_TEXT, "damaged"),
    "truncated JPEG": (saved(scene(), "JPEG")[:1500], "ends too early"),
    "truncated PNG": (saved(scene(), "PNG")[:len(saved(scene(), "PNG"))//2], "damaged"),
    "header alone": (saved(scene(), "PNG")[:40], "no kind"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>', "SVG"),
    "SVG with a header": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "text named .jpg": (b"I am a picture, really", "no kind"),
    "web page": (b"<!DOCTYPE html><p>not found", "web page"),
    "PDF": (b"%PDF-1.7 and so on", "PDF"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no kind"),
    "TIFF": (saved(scene(), "TIFF"), "no kind"),
    "zeros": (bytes(1000), "no kind"),
    "empty": (b"", "empty"),
    "3 MB over the limit": (saved(scene(), "PNG") + bytes(LIMIT + 3_000_000), "max_bytes"),
}
