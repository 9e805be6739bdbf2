import { BLUE, INK, ORANGE, svg, type Values, type Widget } from "./frame.ts";

export type Grid = number[][];

export const KERNELS: Record<string, Grid> = {
  "upright edges": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
  "level edges": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
  blur: Array.from({ length: 3 }, () => [1 / 9, 1 / 9, 1 / 9]),
  sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  "nothing changed": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
};

/** What a kernel answers at every place where it fits (no padding, stride 1): the sum of products under it. */
export function slide(picture: Grid, kernel: Grid): Grid {
  const size = kernel.length;
  return Array.from({ length: picture.length - size + 1 }, (_, r) =>
    Array.from({ length: picture[0]!.length - size + 1 }, (_, c) => under(picture, kernel, r, c)));
}

/** The sum of products with the kernel's corner at a row and a column. */
export function under(picture: Grid, kernel: Grid, row: number, column: number): number {
  return kernel.reduce((sum, line, i) => sum + line.reduce((s, k, j) => s + k * picture[row + i]![column + j]!, 0), 0);
}

const ROWS = [
  "............", "....####....", "...######...", "..##....##..", "........##..", ".......##...", "......##....", ".....##.....",
  "....##......", "...##.......", "..########..", "............"];

/** A small drawn two, 0 for paper and 1 for ink. */
export const PICTURE: Grid = ROWS.map((row) => [...row].map((dot) => (dot === "#" ? 1 : 0)));
const CELL = 18, SIDE = PICTURE.length, LAST = SIDE - 3;

function cells(grid: Grid, x0: number, y0: number, colour: (v: number) => string): string {
  return grid.map((line, r) => line.map((v, c) =>
    `<rect x="${x0 + c * CELL}" y="${y0 + r * CELL}" width="${CELL - 1}" height="${CELL - 1}" fill="${colour(v)}"/>`).join("")).join("");
}

/** Grey for zero, towards orange above it and towards blue below. */
function signed(v: number, most: number): string {
  const strength = Math.min(Math.abs(v) / (most || 1), 1), end = v < 0 ? [74, 134, 214] : [226, 112, 48];
  return `rgb(${end.map((e) => Math.round(242 + (e - 242) * strength)).join(",")})`;
}

const kernelOf = (values: Values): Grid => KERNELS[Object.keys(KERNELS)[values.kernel!]!]!;
const tidy = (v: number): string => (Number.isInteger(v) ? String(v) : v.toFixed(2)).replace("-", "−");

export const kernelWidget: Widget = {
  title: "A kernel over a picture",
  task: "Choose a kernel and move it over the picture. Where does it answer with a large number, where with zero?",
  controls: [
    { id: "kernel", label: "kernel", choices: Object.keys(KERNELS), value: 0 },
    { id: "row", label: "row", min: 0, max: LAST, step: 1, value: 2 },
    { id: "column", label: "column", min: 0, max: LAST, step: 1, value: 1 },
  ],
  picture(values) {
    const kernel = kernelOf(values), row = values.row!, column = values.column!, answers = slide(PICTURE, kernel);
    const most = Math.max(...answers.flat().map(Math.abs)), left = 20, middle = left + SIDE * CELL + 22, top = 34;
    const right = middle + 3 * 34 + 22;
    const numbers = kernel.map((line, r) => line.map((k, c) =>
      `<rect x="${middle + c * 34}" y="${top + 40 + r * 34}" width="32" height="32" fill="${signed(k, 2)}"/>`
      + `<text x="${middle + c * 34 + 16}" y="${top + 61 + r * 34}" text-anchor="middle" font-size="13">${tidy(k)}</text>`).join("")).join("");
    const frame = (x: number, y: number, size: number): string =>
      `<rect x="${x - 1}" y="${y - 1}" width="${size * CELL + 1}" height="${size * CELL + 1}" fill="none" stroke="${ORANGE}" stroke-width="3"/>`;
    const sum = under(PICTURE, kernel, row, column);
    return svg(right + (LAST + 1) * CELL + 20, top + SIDE * CELL + 12,
      `<text x="${left}" y="22" font-weight="600">picture</text><text x="${middle}" y="22" font-weight="600">kernel</text>`
      + `<text x="${right}" y="22" font-weight="600">what it answers</text>`
      + cells(PICTURE, left, top, (v) => (v ? INK : "#eef1f4")) + frame(left + column * CELL, top + row * CELL, 3)
      + numbers + `<text x="${middle + 51}" y="${top + 172}" text-anchor="middle" font-size="15" fill="${BLUE}">sum ${tidy(sum)}</text>`
      + cells(answers, right, top, (v) => signed(v, most)) + frame(right + column * CELL, top + row * CELL, 1));
  },
  said(values) {
    const sum = under(PICTURE, kernelOf(values), values.row!, values.column!);
    return `The kernel for ${Object.keys(KERNELS)[values.kernel!]}, with its corner at row ${values.row} and column ${values.column}, answers ${tidy(sum)}.`;
  },
};
