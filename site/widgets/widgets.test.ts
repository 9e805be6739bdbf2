import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { initial, type Values } from "./frame.ts";
import { KERNELS, PICTURE, slide as over, under } from "./kernel.ts";
import { curve, minimum, movingAverage, recorded, slide, steep, sweep, valley } from "./rates.ts";
import { entropy, softmax } from "./softmax.ts";
import { WIDGETS } from "./widgets.ts";

// What course_lib says; tests/repo/test_site.py asks it again.
const library = JSON.parse(readFileSync(new URL("reference.json", import.meta.url), "utf8"));
const near = (mine: number[], theirs: number[]): void => {
  expect(mine.length).toBe(theirs.length);
  mine.forEach((x, i) => expect(x).toBeCloseTo(theirs[i]!, 10));
};

describe("softmax", () => {
  it("is the library's at every temperature", () => library.softmax.forEach((c: { logits: number[]; temperature: number; probabilities: number[] }) =>
    near(softmax(c.logits, c.temperature), c.probabilities)));
  it("does not overflow", () => near(softmax([1e4, 1e4]), [0.5, 0.5]));
  it("is flat when hot and sure when cold", () => {
    expect(entropy(softmax([2, 1, 0], 1e6))).toBeCloseTo(Math.log(3), 6);
    expect(entropy(softmax([2, 1, 0], 1e-3))).toBe(0);
  });
});

describe("a kernel", () => {
  it("answers by hand", () => expect(over([[1, 2, 3], [4, 5, 6], [7, 8, 10]], [[1, 0], [0, -1]])).toEqual([[-4, -4], [-4, -5]]));
  it("that changes nothing gives the picture without its border", () =>
    expect(over(PICTURE, KERNELS["nothing changed"]!)).toEqual(PICTURE.slice(1, -1).map((row) => row.slice(1, -1))));
  it("for edges answers zero where nothing changes", () => {
    const flat = Array.from({ length: 5 }, () => Array(5).fill(0.7));
    for (const name of ["upright edges", "level edges"]) expect(Math.max(...over(flat, KERNELS[name]!).flat().map(Math.abs))).toBeLessThan(1e-12);
  });
  it("answers at a place what it answers there in the whole", () => expect(under(PICTURE, KERNELS.blur!, 2, 3)).toBe(over(PICTURE, KERNELS.blur!)[2]![3]));
});

describe("the rules of the learning-rate curve", () => {
  for (const [i, c] of library.curves.entries()) it(`are the library's on curve ${i}`, () => {
    near(sweep(1e-7, 10, c.rates.length), c.rates);
    const smooth = movingAverage(c.losses, c.beta);
    near(smooth, c.smooth);
    for (const [name, rule] of Object.entries({ minimum, steep, valley, slide })) expect(rule(c.rates, smooth), name).toBeCloseTo(c[name], 12);
  });
  it("see a search that ends where the loss flies off", () => {
    const losses = curve(sweep(), -1, 0);
    expect(recorded(losses, 0.5).losses.length).toBeLessThan(losses.length);
    expect(recorded(losses, 0.5).losses).toEqual(losses.slice(0, recorded(losses, 0.5).losses.length));
  });
});

describe.each(Object.entries(WIDGETS))("the widget %s", (_, widget) => {
  const corners = (value: "min" | "max"): Values => Object.fromEntries(widget.controls.map((c) =>
    [c.id, "choices" in c ? (value === "min" ? 0 : c.choices.length - 1) : c[value]]));
  it("draws and says something for every extreme", () => {
    for (const values of [initial(widget), corners("min"), corners("max")]) {
      expect(widget.picture(values)).toMatch(/^<svg .*<\/svg>$/);
      expect(widget.picture(values) + widget.said(values)).not.toMatch(/NaN|undefined|Infinity/);
    }
  });
  it("answers each control", () => {
    for (const control of widget.controls) {
      const other = "choices" in control ? control.choices.length - 1 : control.max, values = { ...initial(widget), [control.id]: other };
      expect(widget.picture(values), control.id).not.toBe(widget.picture(initial(widget)));
      expect(widget.said(values), control.id).not.toBe(widget.said(initial(widget)));
    }
  });
  it("begins inside its bounds", () => widget.controls.forEach((c) => {
    if (!("choices" in c)) expect(c.value >= c.min && c.value <= c.max).toBe(true);
  }));
});
