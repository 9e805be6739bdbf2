import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { env } from "onnxruntime-web/wasm";
import { describe, expect, test } from "vitest";
import { facts, fields, metadata } from "../src/facts.ts";
import { MAX_BYTES, checkWeight, format } from "../src/format.ts";
import { open } from "../src/network.ts";
import { middle } from "../src/pixels.ts";
import { Refusal } from "../src/refusal.ts";
import { resizeColumns, resizeRows, weights } from "../src/resize.ts";
import { guesses } from "../src/space.ts";
import { likeliest, milliseconds, percent, sentence } from "../src/words.ts";
import { bmp, gif, jpeg, png, webp } from "./files.ts";
import { LABELS, SIZE, expected, tiny } from "./onnx.ts";

/** A square of numbers without a pattern, as scripts/pillow.py draws it, in RGBA */
function square(side: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let i = 0; i < 3 * side * side; i++)
    out[4 * Math.floor(i / 3) + (i % 3)] = Number((BigInt(i) * BigInt(i) * 7919n + BigInt(i) * 104729n) % 65521n % 256n);
  return out;
}

describe("resize", () => {
  const cases = JSON.parse(readFileSync(new URL("pillow.json", import.meta.url), "utf8")) as { from: number; to: number; rgb: string }[];
  test.each(cases)("$from pixels to $to as Pillow does it, in bands", ({ from, to, rgb }) => {
    const source = square(from), by = weights(from, to), narrow = new Uint8Array(3 * from * to);
    const band = Math.max(1, Math.floor(from / 3));
    for (let row = 0; row < from; row += band)
      resizeRows(source.subarray(4 * from * row, 4 * from * Math.min(row + band, from)), from, by, narrow, row);
    expect([...resizeColumns(narrow, to, by)]).toEqual([...Buffer.from(rgb, "base64")]);
  });
  test("weights sum to one", () => {
    for (const [from, to] of [[7, 3], [3, 7], [4000, 64], [64, 64]] as const) {
      const by = weights(from, to);
      for (let i = 0; i < to; i++) {
        const sum = by.weight.subarray(i * by.width, i * by.width + by.count[i]!).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - 2 ** 22)).toBeLessThanOrEqual(by.count[i]!);
      }
    }
  });
  test("the middle square", () => {
    expect(middle(101, 50)).toEqual({ left: 25, top: 0, side: 50 });
    expect(middle(50, 101)).toEqual({ left: 0, top: 25, side: 50 });
    expect(middle(3, 3)).toEqual({ left: 0, top: 0, side: 3 });
  });
});

describe("format", () => {
  const whole = {
    jpeg: [jpeg(640, 480), "image/jpeg", 640, 480], png: [png(new Uint8Array(3 * 6), 2, 3), "image/png", 2, 3],
    gif: [gif([4, 5], [0, 0, 1, 1]), "image/gif", 4, 5], "gif with a larger picture": [gif([1, 1], [2, 0, 30, 9]), "image/gif", 32, 9],
    vp8: [webp("VP8 ", 320, 200), "image/webp", 320, 200], vp8l: [webp("VP8L", 321, 201), "image/webp", 321, 201],
    vp8x: [webp("VP8X", 70_000, 20), "image/webp", 70_000, 20], bmp: [bmp(3, 2), "image/bmp", 3, 2],
    "bmp from the top": [bmp(3, 2, -2), "image/bmp", 3, 2],
  } as const;
  test.each(Object.entries(whole))("%s", (_, [file, type, width, height]) => {
    expect(format(file)).toEqual({ type, width, height });
    expect(format(Buffer.concat([file, Buffer.from("more")]))).toEqual({ type, width, height });
  });
  test.each(Object.entries(whole))("%s cut off anywhere is refused", (_, [file]) => {
    for (let n = 0; n < file.length; n++) {
      const short = file.subarray(0, n);
      if (file === whole["gif"][0] || file === whole["gif with a larger picture"][0]) if (n === file.length - 1) continue; // its picture is whole
      expect(() => format(short), `${n} of ${file.length} bytes`).toThrow(Refusal);
    }
  });
  test("a bomb is refused by its head", () => {
    for (const file of [png(new Uint8Array(3), 1, 1, [9000, 9000]), jpeg(9000, 9000), gif([9000, 9000], [0, 0, 1, 1]),
      gif([1, 1], [0, 0, 9000, 9000]), webp("VP8X", 9000, 9000), webp("VP8L", 9000, 9000), webp("VP8 ", 9000, 9000), bmp(9000, 1, 9000)])
      expect(() => format(file)).toThrow("9000 × 9000 pixels, 81 million; at most 64 million");
    expect(format(jpeg(8000, 8000)).width).toBe(8000);
  });
  test("a size of nothing is refused", () => {
    for (const file of [png(new Uint8Array(3), 1, 1, [0, 1]), jpeg(0, 4), bmp(1, 1, 0)]) expect(() => format(file)).toThrow("broken");
  });
  test("two frames, no frame, no marker", () => {
    const frame = jpeg(8, 8).subarray(0, -2);
    expect(() => format(Buffer.concat([frame, jpeg(9000, 9000).subarray(2)]))).toThrow("broken");
    expect(() => format(Buffer.of(0xff, 0xd8, 0xff, 0xd9))).toThrow("broken");
    expect(() => format(Buffer.of(0xff, 0xd8, 0xff, 0xe0, 0, 2, 7, 7))).toThrow("broken");
    expect(() => format(Buffer.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 7, 7))).toThrow("broken");
  });
  test("what is no picture is named", () => {
    const named: [string, string][] = [["hello", "text"], ["<svg xmlns='x'/>", "SVG"], ["<?xml version='1.0'?><svg/>", "SVG"],
      ["%PDF-1.7", "PDF"], ["PK\x03\x04", "archive"], ["\0\0\0\x18ftypheic", "HEIC"], ["\0\0\0\x18ftypavif", "AVIF"],
      ["\0\0\0\x18ftypisom", "film"], ["II*\0", "TIFF"], ["\0\x01\x02", "no picture"], ["BM", "text"], ["BM" + "\xff".repeat(30), "text"]];
    for (const [head, name] of named) expect(() => format(Buffer.from(head, "latin1"))).toThrow(new RegExp(`${name}.*JPEG, PNG`));
  });
  test("weight", () => {
    expect(() => checkWeight(MAX_BYTES + 1)).toThrow("25 megabytes");
    expect(() => checkWeight(0)).toThrow("empty");
    checkWeight(MAX_BYTES);
  });
});

describe("facts", () => {
  test("travel in the file", () => {
    expect(facts(tiny())).toEqual({ labels: LABELS, size: SIZE, version: "0.0.0", packed: false });
    expect(facts(tiny({ labels: '["a"]', size: "8", quantized: "weights" }))).toEqual({ labels: ["a"], size: 8, version: "", packed: true });
    expect(metadata(tiny({ a: "ü", b: "" }))).toEqual(new Map([["a", "ü"], ["b", ""]]));
  });
  test.each([[{}, "labels"], [{ labels: "{}", size: "8" }, "labels"], [{ labels: "[]", size: "8" }, "labels"],
    [{ labels: "[1]", size: "8" }, "labels"], [{ labels: '["a"]' }, "size undefined"], [{ labels: '["a"]', size: "8.5" }, "size 8.5"]])(
    "%j is refused", (given, why) => { expect(() => facts(tiny(given as Record<string, string>))).toThrow(why); });
  test("what is no ONNX file is refused", () => {
    expect(() => [...fields(Uint8Array.of(0x0a, 5, 1))]).toThrow("cut off");
    expect(() => [...fields(Uint8Array.of(0x0b))]).toThrow("no ONNX file");
    expect(() => [...fields(Uint8Array.of(0x80))]).toThrow("in the middle of a number");
    expect([...fields(Uint8Array.of(0x08, 1, 0x09, ...new Uint8Array(8), 0x0d, 0, 0, 0, 0, 0x12, 1, 7))]).toEqual([[2, Uint8Array.of(7)]]);
  });
});

describe("network", () => {
  const wasm = createRequire(import.meta.url).resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  env.wasm.wasmBinary = new Uint8Array(readFileSync(wasm)); // Node fetches no files
  test("answers as the formula does", async () => {
    const network = await open(tiny(), wasm);
    for (const seed of [1, 2, 3]) {
      const rgb = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => (i * i * seed * 31) % 256);
      const given = await network.answer(rgb);
      expected(rgb).forEach((p, i) => { expect(Math.abs(given[i]! - p)).toBeLessThan(1e-6); });
    }
  });
  test("another number of names than of probabilities is told", async () => {
    const network = await open(tiny({ labels: '["a"]', size: "8" }), wasm);
    await expect(network.answer(new Uint8Array(192))).rejects.toThrow("4 numbers for 1 names");
  });
});

describe("what a Space sends", () => {
  const label = (...pairs: [unknown, unknown][]) => [{ label: "x", confidences: pairs.map(([l, c]) => ({ label: l, confidence: c })) }];
  test("names and probabilities, sorted", () => {
    expect(guesses(label(["a_b", 0.2], ["c", 0.8]))).toEqual([{ label: "c", probability: 0.8 }, { label: "a b", probability: 0.2 }]);
  });
  test.each([undefined, null, {}, [], [null], ["text"], [{ label: "x" }], label(), label(["a", "0.5"]), label(["a", 1.5]), label(["a", Number.NaN]),
    label([1, 0.5]), [{ confidences: [null] }]])("%j is refused", (sent) => { expect(() => guesses(sent)).toThrow("no names"); });
});

describe("words", () => {
  test("the likeliest names", () => {
    expect(likeliest(LABELS, [0.1, 0.2, 0, 0.7], 2)).toEqual([{ label: "a blue one", probability: 0.7 }, { label: "red", probability: 0.2 }]);
  });
  test("percent never claims more than is so", () => {
    expect([0, 0.004, 0.01, 0.5, 0.99, 0.995, 0.9999, 1].map(percent)).toEqual(
      ["under 1%", "under 1%", "1%", "50%", "99%", "over 99%", "over 99%", "100%"]);
  });
  test("a first guess below one half is called unsure", () => {
    expect(sentence({ label: "pug", probability: 0.49 })).toContain("not sure");
    expect(sentence({ label: "pug", probability: 0.93 })).toBe("The network gives “pug” a probability of 93%.");
    expect([0.2, 12.6].map(milliseconds)).toEqual(["under 1 ms", "13 ms"]);
  });
});

test("the lock file names no server, and every licence in it permits use", () => {
  const lock = readFileSync(new URL("../package-lock.json", import.meta.url), "utf8");
  const packages = (JSON.parse(lock) as { packages: Record<string, { license?: string; resolved?: string; dev?: boolean }> }).packages;
  const free = /^\(?(MIT|ISC|Apache-2\.0|BSD-[23]-Clause|0BSD|BlueOak-1\.0\.0|MIT OR CC0-1\.0)\)?$/;
  const tools = /^(MPL-2\.0|CC-BY-4\.0)$/; // used to build and test, and no part of the page
  for (const [name, { license = "", resolved, dev }] of Object.entries(packages)) {
    expect(resolved, name).toBeUndefined();
    expect(license, name).toMatch(dev && tools.test(license) ? tools : free);
  }
});
