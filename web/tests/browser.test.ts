import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type Page, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Facts, facts } from "../src/facts.ts";
import { middle } from "../src/pixels.ts";
import { resizeColumns, resizeRows, weights } from "../src/resize.ts";
import { type Answer, CHROMIUM, ask, built, given, launch, ready, visit } from "./browse.ts";
import { bmp, gif, jpeg, png } from "./files.ts";
import { type Served, serve } from "./serve.ts";

const LIMIT = 6_000_000; // bytes that the whole page may have, packed
let folder: string, model: string, remove: () => void, served: Served, browser: Browser, known: Facts, shared: Page;
const faults: string[] = [];
/** What `python -m tools.build.web_model` writes of its answers */
interface Parity {
  tolerance: number;
  pictures: { picture: string; square: string; probabilities: number[] }[];
}

beforeAll(async () => {
  ({ folder, model, remove } = await built());
  served = await serve(folder);
  browser = await launch();
  known = facts(readFileSync(join(model, "model.onnx")));
  shared = await opened();
});
afterAll(async () => {
  await browser?.close();
  await served?.stop();
  remove?.();
});
afterEach(async () => {
  for (const context of browser.contexts()) if (context !== shared.context()) await context.close();
  expect(faults.splice(0)).toEqual([]);
});

async function opened(options: Parameters<typeof visit>[3] = {}): Promise<Page> {
  const page = await visit(browser, served, faults, options);
  await ready(page);
  return page;
}
async function answered(page: Page, ...file: Parameters<typeof given>): Promise<Answer> {
  const said = await ask(page, given(...file));
  if (typeof said === "string") throw new Error(said);
  return said;
}
const best = (p: number[]) => p.indexOf(Math.max(...p));
/** Pixels without a pattern, lighter from row to row */
const noise = (width: number, height: number, channels = 3) =>
  Uint8Array.from({ length: width * height * channels }, (_, i) => (i * i * 31 + i * 7) % 127 + 128 * i / (width * height * channels));
/** What Pillow makes of RGB pixels: their middle, shrunk */
function shrunk(rgb: Uint8Array, width: number, height: number, size: number): number[] {
  const { left, top, side } = middle(width, height), rgba = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++)
    rgba.set(rgb.subarray(3 * ((top + y) * width + left + x), 3 * ((top + y) * width + left + x) + 3), 4 * (y * side + x));
  const narrow = new Uint8Array(3 * side * size), by = weights(side, size);
  resizeRows(rgba, side, by, narrow, 0);
  return [...resizeColumns(narrow, size, by)];
}

describe("giving a picture", () => {
  test("by the keyboard, and hearing the answer", async () => {
    const page = await opened(), chooser = page.waitForEvent("filechooser");
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("choose");
    expect(await page.locator(".button.go").evaluate((e) => getComputedStyle(e).outlineWidth)).toBe("3px");
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(given(png(noise(40, 30), 40, 30)));
    await page.locator("#answer").waitFor();
    const best = (await page.locator("#said").textContent())!;
    expect(known.labels.map((l) => l.replaceAll("_", " "))).toContain(best);
    expect(await page.locator("main").ariaSnapshot()).toContain(`- heading "${best}" [level=2]`);
    expect(await page.getByRole("status").textContent()).toContain(`“${best}”`);
    expect(await page.getByRole("row").first().getByRole("columnheader").count()).toBe(2);
    expect(await page.getByRole("row").nth(1).getByRole("rowheader").textContent()).toBe(best);
    expect(await page.locator("#answer").getByRole("img").evaluateAll((all) => all.map((e) => e.getAttribute("alt") ?? e.ariaLabel))).toEqual(
      ["Your picture, picture.png", `The middle of your picture, ${known.size} × ${known.size} pixels`]);
    await page.locator("summary").focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("#labels li").first().isVisible()).toBe(true);
    expect(await page.locator("#labels li").count()).toBe(known.labels.length);
  });

  test.each(["drop", "paste"])("by a %s", async (kind) => {
    const page = shared, bytes = [...png(noise(9, 9), 9, 9)];
    const before = await page.evaluate(() => (window as unknown as { answers: unknown[] }).answers.length);
    await page.evaluate(([type, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(data as number[])], "a.png", { type: "image/png" }));
      const init = { bubbles: true, cancelable: true };
      const event = type === "drop" ? new DragEvent("drop", { ...init, dataTransfer: transfer })
        : new ClipboardEvent("paste", { ...init, clipboardData: transfer });
      document.getElementById("drop")!.dispatchEvent(event);
      if (type === "drop" && !event.defaultPrevented) throw new Error("the browser would leave the page");
    }, [kind, bytes] as const);
    await page.waitForFunction((n) => (window as unknown as { answers: unknown[] }).answers.length > n, before);
  });

  test("a drop without a file is refused", async () => {
    const page = shared;
    await page.evaluate(() => { document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: new DataTransfer() })); });
    expect(await page.getByRole("alert").textContent()).toContain("no file");
  });

  test("by the camera of a telephone, and of nothing else", async () => {
    const desk = await opened();
    expect(await desk.locator("#camera").isVisible()).toBe(false);
    const phone = await opened({ hasTouch: true, isMobile: true, viewport: { width: 375, height: 700 } });
    expect(await phone.locator("#camera").isVisible()).toBe(true);
    expect(await phone.locator("#photograph").getAttribute("capture")).toBe("environment");
    await phone.locator("#photograph").setInputFiles(given(png(noise(9, 9), 9, 9)));
    await phone.locator("#answer").waitFor();
  });

  test("by an example, where there are some", async ({ skip }) => {
    const page = await opened(), found = page.getByRole("button", { name: "Example" });
    if (!await found.count()) skip("the tiny network has no pictures beside it");
    expect(await found.count()).toBe(4);
    await found.first().focus();
    await page.keyboard.press("Enter");
    await page.locator("#answer").waitFor();
    expect(await page.locator("#yours").getAttribute("alt")).toContain(".jpg");
  });

  test("before the network is there", async () => {
    const page = await visit(browser, served, faults);
    await page.locator("#choose").setInputFiles(given(png(noise(9, 9), 9, 9)));
    await page.locator("#answer").waitFor();
  });

  test("two at once: the later one is answered", async () => {
    const page = shared, count = () => page.evaluate(() => (window as unknown as { answers: unknown[] }).answers.length);
    const before = await count();
    await page.locator("#choose").setInputFiles(given(png(new Uint8Array(3 * 3000 * 3000), 3000, 3000), "slow.png"));
    await page.locator("#choose").setInputFiles(given(png(new Uint8Array(300).fill(255), 10, 10), "quick.png"));
    await page.waitForFunction(() => document.getElementById("yours")!.getAttribute("alt")!.includes("quick.png"));
    const pixels = await page.evaluate(() => (window as unknown as { answers: Answer[] }).answers.at(-1)!.pixels);
    expect(Math.min(...pixels)).toBe(255);
    await page.waitForTimeout(2000); // by now the slow one is through, and nobody wants it
    expect(await count()).toBe(before + 1);
    expect(await page.locator("#yours").getAttribute("alt")).toBe("Your picture, quick.png");
  });
});

describe("pixels", () => {
  test.each([[64, 64], [37, 21], [20, 333], [1, 1], [701, 700]])("of %i × %i are Pillow's", async (width, height) => {
    const rgb = noise(width, height);
    const { pixels, probabilities } = await answered(shared, png(rgb, width, height));
    expect(pixels).toEqual(shrunk(rgb, width, height, known.size));
    expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });
  test("taller than one band, too", async () => {
    const rgb = noise(2100, 2100), { pixels } = await answered(shared, png(rgb, 2100, 2100));
    expect(pixels).toEqual(shrunk(rgb, 2100, 2100, known.size));
  });
  test("what is transparent lies on white", async () => {
    const page = shared, rgba = Uint8Array.from({ length: 400 }, (_, i) => (i % 4 === 3 ? 0 : 80));
    expect(new Set((await answered(page, png(rgba, 10, 10))).pixels)).toEqual(new Set([255]));
    rgba.forEach((v, i) => { rgba[i] = v || 51; });
    const half = new Set((await answered(page, png(rgba, 10, 10))).pixels);
    for (const v of half) expect(Math.abs(v - (255 * 0.8 + 80 * 0.2))).toBeLessThanOrEqual(1);
  });
  test("a picture is turned as its camera says", async () => {
    const page = shared;
    const plain = Buffer.from(await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(64, 64), c = canvas.getContext("2d")!;
      c.fillStyle = "#f00";
      c.fillRect(0, 0, 64, 16);
      return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 1 })).arrayBuffer())];
    }));
    const exif = Buffer.from("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", "latin1");
    const turned = Buffer.concat([plain.subarray(0, 2), Buffer.of(0xff, 0xe1, 0, exif.length + 2), exif, plain.subarray(2)]);
    const { size } = known, red = (p: number[], x: number, y: number) => p[3 * (y * size + x)]! > 200;
    const before = (await answered(page, plain, "a.jpg")).pixels, after = (await answered(page, turned, "a.jpg")).pixels;
    const mid = size / 2;
    expect([red(before, mid, 0), red(before, size - 1, mid), red(after, mid, size - 1), red(after, size - 1, mid)]).toEqual([true, false, false, true]);
  });
  test("the first picture of a GIF and a BMP from the top", async () => {
    const page = shared;
    expect((await answered(page, gif([1, 1], [0, 0, 1, 1]), "a.gif")).pixels[0]).toBe(0);
    expect(new Set((await answered(page, bmp(9, 9, -9), "a.bmp")).pixels)).toEqual(new Set([200]));
  });
});

test("the network says here what it says to Python", async ({ skip }) => {
  const file = join(model, "parity.json");
  if (!existsSync(file)) skip("the tiny network has no parity.json");
  const { pictures, tolerance } = JSON.parse(readFileSync(file, "utf8")) as Parity;
  let largest = 0, same = 0;
  for (const { picture, square, probabilities } of pictures) {
    const here = (await answered(shared, readFileSync(join(model, square)))).probabilities;
    largest = Math.max(largest, ...here.map((p, i) => Math.abs(p - probabilities[i]!)));
    const whole = (await answered(shared, readFileSync(join(model, picture)), "a.jpg", "image/jpeg")).probabilities;
    if (best(whole) === best(probabilities)) same++;
  }
  console.log(`parity: ${pictures.length} squares within ${largest.toExponential(1)}, ${same} of ${pictures.length} files named alike`);
  expect(largest).toBeLessThanOrEqual(tolerance);
  expect(same).toBe(pictures.length);
}, 90_000);

describe("refusals", () => {
  const whole = png(noise(50, 50), 50, 50), broken = Buffer.from(whole);
  broken.fill(0x55, 60, whole.length - 30);
  const hostile: [string, Buffer, string][] = [
    ["an empty file", Buffer.alloc(0), "empty"], ["text named .jpg", Buffer.from("hello"), "text"],
    ["a drawing with a script", Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), "SVG"],
    ["a file cut off", whole.subarray(0, whole.length / 2), "cut off"], ["a broken file", broken, "broken"],
    ["a file whose head lies", png(noise(1, 1), 1, 1, [7000, 7000]), "broken"],
    ["a JPEG without pixels", jpeg(100, 100), "broken"],
    ["a bomb of 81 megapixels", png(new Uint8Array(81_000_000 / 9), 9000, 1000, [9000, 9000]), "81 million"],
    ["a file of 28 megabytes", Buffer.concat([whole, Buffer.alloc(28_000_000)]), "28 megabytes"],
  ];
  test("each is told in words, and the page goes on", async () => {
    const page = shared;
    for (const [name, file, words] of hostile) {
      expect(await ask(page, given(file, "a.jpg", "image/jpeg")), name).toContain(words);
      expect(await page.locator("#answer").isVisible(), name).toBe(false);
    }
    await answered(page, whole);
    expect(await page.getByRole("alert").textContent()).toBe("");
  });
  test("a picture that takes too long is given up, and the page goes on", async () => {
    const page = await visit(browser, served, faults);
    await page.clock.install();
    await page.reload();
    await ready(page);
    await page.locator("#choose").setInputFiles(given(png(new Uint8Array(3 * 7000 * 7000), 7000, 7000), "slow.png"));
    await page.clock.fastForward(31_000);
    expect(await page.getByRole("alert").textContent()).toContain("took too long");
    await answered(page, whole);
    expect(page.workers().length).toBe(1); // the other one has ended
    await page.waitForTimeout(1000);
    expect(await page.locator("#yours").getAttribute("alt")).toBe("Your picture, picture.png");
  });
  test("the page may ask no other host, whatever gets into it", async () => {
    const page = await opened();
    const forbidden = await page.evaluate(async () => {
      const said = new Promise((tell) => { document.addEventListener("securitypolicyviolation", (e) => { tell(e.effectiveDirective); }); });
      await fetch("http://127.0.0.1:9/").catch(() => null);
      return said;
    });
    expect(forbidden).toBe("connect-src");
    expect(faults.splice(0).every((f) => f.includes("Content Security Policy"))).toBe(true);
  });
  test("a network that cannot be fetched is told", async () => {
    const page = await browser.newPage();
    await page.route("**/*.onnx", (route) => route.fulfill({ status: 404 }));
    await page.goto(served.url);
    await page.getByText("could not be loaded").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("(404)");
  });
});

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What axe finds on a page, or cannot decide, and whether the page is wider than the screen */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    type Found = { id: string; nodes: { html: string }[] }[];
    const run = (window as unknown as { axe: { run(on: Document): Promise<{ violations: Found; incomplete: Found }> } }).axe.run;
    const { violations, incomplete } = await run(document), wide = document.documentElement.scrollWidth - innerWidth;
    return [...violations, ...incomplete].map((f) => `${f.id}: ${f.nodes[0]?.html}`).concat(wide > 0 ? [`${wide} px too wide`] : []);
  });
}

describe("looks", () => {
  test.each([[1280, "light"], [1280, "dark"], [375, "light"], [375, "dark"]] as const)("%i pixels, %s", async (width, colorScheme) => {
    const page = await opened({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce", bypassCSP: true,
      isMobile: width < 600, hasTouch: width < 600 }); // axe comes from outside, which the page's policy forbids
    const shots = process.env["PICTURES"];
    for (const state of ["fresh", "answered", "refused"]) {
      if (state === "answered") await answered(page, png(noise(40, 30), 40, 30));
      if (state === "refused") await ask(page, given(Buffer.from(`<svg${"_".repeat(90)}`), "a.jpg"));
      await page.locator("summary").click();
      expect(await faultsOf(page), state).toEqual([]);
      const small = await page.locator(".button:visible, summary").evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().height < 24).length);
      expect(small, state).toBe(0);
      if (shots) await page.screenshot({ path: join(shots, `${state}-${width}-${colorScheme}.png`), fullPage: true });
    }
  });
});

test("the page that asks a Space, by the same eyes", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await visit(browser, served, faults, { viewport: { width: 375, height: 700 }, colorScheme, bypassCSP: true });
    await page.getByRole("link", { name: "Ask a Space" }).click();
    await page.getByRole("heading", { name: "Ask a Space" }).waitFor();
    expect(await faultsOf(page)).toEqual([]);
    if (process.env["PICTURES"]) await page.screenshot({ path: join(process.env["PICTURES"], `space-375-${colorScheme}.png`) });
  }
});

describe("kept on the device", () => {
  test("answers with the server stopped, and is light enough", async () => {
    const own = await serve(folder), page = await visit(browser, own, faults);
    await ready(page);
    const picture = png(noise(40, 30), 40, 30), before = await answered(page, picture);
    await page.getByText("Kept on this device").waitFor();
    const weight = [...own.sent.values()].reduce((a, b) => a + b);
    console.log(`the whole page: ${(weight / 1e6).toFixed(2)} MB packed, ${own.sent.size} files`);
    expect(weight).toBeLessThanOrEqual(LIMIT);
    expect([...own.sent.keys()].filter((f) => f.endsWith(".wasm")).length).toBe(1);
    await own.stop();
    await page.reload();
    await ready(page);
    expect((await answered(page, picture)).probabilities).toEqual(before.probabilities);
  });

  test("can be installed", async () => {
    const profile = mkdtempSync(join(tmpdir(), "course-web-profile-"));
    const context = await chromium.launchPersistentContext(profile, CHROMIUM); // a private window installs nothing
    try {
      const page = await context.newPage(), session = await context.newCDPSession(page);
      await page.goto(served.url);
      await page.getByText("Kept on this device").waitFor();
      const { errors, data, url } = await session.send("Page.getAppManifest");
      expect(errors).toEqual([]);
      expect((await session.send("Page.getInstallabilityErrors")).installabilityErrors).toEqual([]);
      const manifest = JSON.parse(data!) as { icons: { src: string; sizes: string; purpose?: string }[]; display: string };
      expect(manifest.display).toBe("standalone");
      for (const { src, sizes } of manifest.icons) {
        const icon = await context.request.get(new URL(src, url).href), bytes = await icon.body();
        expect(icon.ok(), src).toBe(true);
        if (sizes !== "any") expect(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, src).toBe(sizes);
      }
      expect(manifest.icons.some((i) => i.purpose === "maskable")).toBe(true);
    } finally {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    }
  });
});
