/**
 * What a file is, by its bytes and never by its name, and how large its picture is, before anything decodes it: a few
 * kilobytes can unpack to gigabytes, and a picture that was cut off would be answered with a grey half.
 */
import { Refusal } from "./refusal.ts";

/** No photograph of a telephone is heavier */
export const MAX_BYTES = 25_000_000;
/** Unpacked, four bytes each */
export const MAX_PIXELS = 64_000_000;

export interface Format {
  readonly type: "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/bmp";
  readonly width: number;
  readonly height: number;
}

const CUT = "The file is cut off: a part of the picture is missing. Copy it again.";
const BROKEN = "The file is broken: it is no picture that can be read.";

/** The bytes of a file, whose reads past the end are refusals */
class Bytes {
  private readonly view: DataView;
  constructor(readonly all: Uint8Array) { this.view = new DataView(all.buffer, all.byteOffset, all.byteLength); }
  private within(at: number, n: number): number {
    if (at < 0 || at + n > this.all.length) throw new Refusal(CUT);
    return at;
  }
  byte(at: number): number { return this.view.getUint8(this.within(at, 1)); }
  big16(at: number): number { return this.view.getUint16(this.within(at, 2)); }
  big32(at: number): number { return this.view.getUint32(this.within(at, 4)); }
  little16(at: number): number { return this.view.getUint16(this.within(at, 2), true); }
  little24(at: number): number { return this.little16(at) + 65536 * this.byte(at + 2); }
  little32(at: number): number { return this.view.getUint32(this.within(at, 4), true); }
  text(at: number, n: number): string { return String.fromCharCode(...this.all.subarray(at, at + n)); }
}

type Size = Omit<Format, "type">;

/** Walks over the segments of a JPEG file to its end marker */
function jpeg(b: Bytes): Size {
  let size: Size | undefined;
  for (let at = 2; ;) {
    if (b.byte(at) !== 0xff) throw new Refusal(BROKEN);
    while (b.byte(at) === 0xff) at++;
    const marker = b.byte(at++);
    if (marker === 0xd9) {
      if (!size) throw new Refusal(BROKEN);
      return size;
    }
    if (marker >= 0xd0 && marker <= 0xd7) continue;
    const length = b.big16(at);
    if (length < 2) throw new Refusal(BROKEN);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame && size) throw new Refusal(BROKEN);
    if (frame) size = { height: b.big16(at + 3), width: b.big16(at + 5) };
    at += length;
    if (marker !== 0xda) continue;
    for (;; at++) { // the pixels of a scan, in which 0xff is followed by 0 or by a restart
      at = b.all.indexOf(0xff, at);
      if (at < 0) throw new Refusal(CUT);
      const next = b.byte(at + 1);
      if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) break;
    }
  }
}

function png(b: Bytes): Size {
  if (b.text(12, 4) !== "IHDR") throw new Refusal(BROKEN);
  for (let at = 8, kind = ""; kind !== "IEND";) {
    kind = b.text(at + 4, 4);
    at += 12 + b.big32(at);
    b.byte(at - 1);
  }
  return { width: b.big32(16), height: b.big32(20) };
}

function gif(b: Bytes): Size {
  const packed = b.byte(10);
  let at = 13 + (packed & 0x80 ? 3 * (2 << (packed & 7)) : 0);
  const skip = () => { while (b.byte(at)) at += 1 + b.byte(at); at++; };
  while (b.byte(at) === 0x21) { at += 2; skip(); }
  if (b.byte(at) !== 0x2c) throw new Refusal(BROKEN);
  const right = b.little16(at + 1) + b.little16(at + 5), bottom = b.little16(at + 3) + b.little16(at + 7);
  const local = b.byte(at + 9);
  at += 11 + (local & 0x80 ? 3 * (2 << (local & 7)) : 0);
  skip(); // the first picture is whole
  return { width: Math.max(b.little16(6), right), height: Math.max(b.little16(8), bottom) };
}

function webp(b: Bytes): Size {
  b.byte(7 + b.little32(4)); // the last byte
  const kind = b.text(12, 4);
  if (kind === "VP8X") return { width: 1 + b.little24(24), height: 1 + b.little24(27) };
  if (kind === "VP8 ") return { width: b.little16(26) & 0x3fff, height: b.little16(28) & 0x3fff };
  if (kind !== "VP8L") throw new Refusal(BROKEN);
  const bits = b.little32(21);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

function bmp(b: Bytes): Size {
  b.byte(b.little32(2) - 1);
  if (b.little32(14) === 12) return { width: b.little16(18), height: b.little16(20) };
  return { width: b.little32(18) | 0, height: Math.abs(b.little32(22) | 0) };
}

/** Names of what people give and no reader here takes, by the words in their first bytes */
function otherName(head: string): string {
  if (head.slice(4, 8) === "ftyp")
    return /heic|heix|mif1|hevc/.test(head) ? "a HEIC picture" : /avif|avis/.test(head) ? "an AVIF picture" : "a film";
  if (/^(II\*\0|MM\0\*)/.test(head)) return "a TIFF picture";
  if (head.startsWith("%PDF")) return "a PDF document";
  if (head.startsWith("PK")) return "an archive or an office document";
  if (/<svg|<\?xml|<!doctype|<html/i.test(head)) return "a drawing or a page written as text (SVG, HTML)";
  return head && !/[\0-\x08\x0e-\x1f]/.test(head) ? "text" : "no picture that can be read";
}

const mega = (n: number) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0);

/** Refuses a file for its number of bytes alone, before it is read */
export function checkWeight(bytes: number, most = MAX_BYTES): void {
  if (!bytes) throw new Refusal("The file is empty.");
  if (bytes > most)
    throw new Refusal(`The file has ${mega(bytes)} megabytes; at most ${mega(most)} are read. Save a smaller copy.`);
}

/** The format and size of a picture, or a Refusal that says what is wrong with the file */
export function format(file: Uint8Array, maxPixels = MAX_PIXELS): Format {
  checkWeight(file.length);
  const b = new Bytes(file), head = b.text(0, 256);
  const [type, read] = head.startsWith("\xff\xd8\xff") ? ["image/jpeg", jpeg] as const
    : head.startsWith("\x89PNG\r\n\x1a\n") ? ["image/png", png] as const
    : /^GIF8[79]a/.test(head) ? ["image/gif", gif] as const
    : /^RIFF....WEBP/s.test(head) ? ["image/webp", webp] as const
    : head.startsWith("BM") && file.length > 26 && b.little32(14) <= 124 ? ["image/bmp", bmp] as const
    : [null, null] as const;
  if (!type) throw new Refusal(`The file is ${otherName(head)}. JPEG, PNG, WebP, GIF and BMP are read.`);
  const { width, height } = read(b);
  if (width < 1 || height < 1) throw new Refusal(BROKEN);
  if (width * height > maxPixels)
    throw new Refusal(`The picture has ${width} × ${height} pixels, ${mega(width * height)} million; at most `
      + `${mega(maxPixels)} million are read. Save a smaller copy.`);
  return { type, width, height };
}
