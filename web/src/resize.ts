/**
 * Pillow's `resize((size, size), Image.Resampling.BILINEAR)` of 8-bit pictures, number by number: a canvas shrinks by
 * another rule, which differs from browser to browser, and a network sees the difference.
 */

/** The whole-number weights of Pillow have this many bits behind the point. */
const BITS = 22;

/** For each pixel of one side of the result: where its source pixels begin, how many they are, and their weights. */
export interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `width` weights for each pixel of the result, of which `count` are used */
  readonly weight: Int32Array;
  readonly width: number;
}

/** Weights that take `from` pixels to `to`: triangles as wide as the source pixels that one pixel of the result covers */
export function weights(from: number, to: number): Weights {
  const scale = from / to, wide = Math.max(scale, 1);
  const width = Math.ceil(wide) * 2 + 1;
  const first = new Int32Array(to), count = new Int32Array(to), weight = new Int32Array(to * width);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - wide + 0.5), 0);
    const end = Math.min(Math.trunc(center + wide + 0.5), from);
    const raw: number[] = [];
    for (let x = begin; x < end; x++) raw.push(Math.max(1 - Math.abs((x - center + 0.5) * (1 / wide)), 0));
    const total = raw.reduce((a, b) => a + b, 0);
    first[i] = begin;
    count[i] = raw.length;
    raw.forEach((w, k) => { weight[i * width + k] = Math.trunc(0.5 + (w / total) * (1 << BITS)); });
  }
  return { first, count, weight, width };
}

/** Shrinks or stretches every row of a band of RGBA pixels, `from` pixels wide, to RGB pixels in `out`, from `row` on */
export function resizeRows(rgba: Uint8ClampedArray, from: number, to: Weights, out: Uint8Array, row: number): void {
  const size = to.first.length, rows = rgba.length / (4 * from);
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < size; i++) {
      let r = 1 << (BITS - 1), g = r, b = r;
      let p = 4 * (y * from + to.first[i]!);
      const start = i * to.width, stop = start + to.count[i]!;
      for (let k = start; k < stop; k++, p += 4) {
        const w = to.weight[k]!;
        r += w * rgba[p]!;
        g += w * rgba[p + 1]!;
        b += w * rgba[p + 2]!;
      }
      const at = 3 * ((row + y) * size + i);
      out[at] = r >> BITS;
      out[at + 1] = g >> BITS;
      out[at + 2] = b >> BITS;
    }
  }
}

/** The same for the columns: rows of `size` RGB pixels become as many rows as `to` has pixels */
export function resizeColumns(rgb: Uint8Array, size: number, to: Weights): Uint8Array {
  const high = to.first.length, line = 3 * size, out = new Uint8Array(high * line), sums = new Int32Array(line);
  for (let i = 0; i < high; i++) {
    sums.fill(1 << (BITS - 1));
    for (let k = 0; k < to.count[i]!; k++) {
      const w = to.weight[i * to.width + k]!, from = (to.first[i]! + k) * line;
      for (let x = 0; x < line; x++) sums[x]! += w * rgb[from + x]!;
    }
    for (let x = 0; x < line; x++) out[i * line + x] = sums[x]! >> BITS;
  }
  return out;
}
