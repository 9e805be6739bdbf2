/** What the page says of the files in the folder CASES, beside what Python said: benchmarks/web.py writes and reads them */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { format } from "../src/format.ts";
import { ask, built, given, launch, ready, visit } from "./browse.ts";
import { png } from "./files.ts";
import { serve } from "./serve.ts";

interface Case {
  group: string;
  file: string;
  rgb: string;
  rival: boolean;
  probabilities: number[];
}
const QUALITIES = ["low", "medium", "high"] as const;
const cases = process.env["CASES"] ?? "";
const best = (p: number[]) => p.indexOf(Math.max(...p));
const apart = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a, (v, i) => Math.abs(v - b[i]!));

async function say(page: Page, file: Buffer) {
  const said = await ask(page, given(file));
  if (typeof said === "string") throw new Error(said);
  return said;
}

/** The middle of a picture as a canvas shrinks it */
const byCanvas = (page: Page, file: Buffer, size: number, quality: (typeof QUALITIES)[number]) =>
  page.evaluate(async ([bytes, type, side, how]) => {
    const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([data], { type })), square = Math.min(bitmap.width, bitmap.height);
    const context = new OffscreenCanvas(side, side).getContext("2d")!;
    context.imageSmoothingQuality = how;
    context.drawImage(bitmap, Math.floor((bitmap.width - square) / 2), Math.floor((bitmap.height - square) / 2), square, square, 0, 0, side, side);
    return [...context.getImageData(0, 0, side, side).data].filter((_, i) => i % 4 < 3);
  }, [file.toString("base64"), format(file).type, size, quality] as const);

test.skipIf(!cases)("compare", async () => {
  const list = JSON.parse(readFileSync(join(cases, "cases.json"), "utf8")) as Case[], faults: string[] = [];
  const { folder, remove } = await built(), served = await serve(folder), browser = await launch();
  try {
    const page = await visit(browser, served, faults);
    await ready(page);
    await page.getByText("Kept on this device").waitFor();
    const weight = [...served.sent.values()].reduce((a, b) => a + b), said = [];
    await say(page, readFileSync(join(cases, list[0]!.file))); // the first is slower
    for (const { group, file, rgb, rival, probabilities } of list) {
      const bytes = readFileSync(join(cases, file)), wanted = readFileSync(join(cases, rgb)), size = Math.sqrt(wanted.length / 3);
      const here = await say(page, bytes), pixels = apart(here.pixels, wanted);
      const canvas: Record<string, { same: boolean; probability: number }> = {};
      for (const quality of rival ? QUALITIES : []) {
        const other = (await say(page, png(Uint8Array.from(await byCanvas(page, bytes, size, quality)), size, size))).probabilities;
        canvas[quality] = { same: best(other) === best(probabilities), probability: Math.max(...apart(other, probabilities)) };
      }
      said.push({ group, same: best(here.probabilities) === best(probabilities), probability: Math.max(...apart(here.probabilities, probabilities)),
        equal: pixels.filter((d) => d === 0).length / pixels.length, farthest: Math.max(...pixels),
        unpacking: here.unpacking, answering: here.answering, ...(rival ? { canvas } : {}) });
    }
    const { version } = JSON.parse(readFileSync(new URL("../node_modules/onnxruntime-web/package.json", import.meta.url), "utf8")) as { version: string };
    writeFileSync(join(cases, "compared.json"), JSON.stringify({ said, weight, onnxruntime: version, chromium: browser.version() }));
    expect(faults).toEqual([]);
  } finally {
    await browser.close();
    await served.stop();
    remove();
  }
}, 3_000_000);
