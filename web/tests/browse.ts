/** The built page in Chromium, and what is done to it there */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { build } from "vite";
import { tiny } from "./onnx.ts";
import type { Served } from "./serve.ts";

export interface Answer {
  readonly probabilities: number[];
  readonly pixels: number[];
  readonly unpacking: number;
  readonly answering: number;
}

/** Builds the page around the network in the folder MODEL, or around a tiny one, into a folder that `remove` removes */
export async function built(): Promise<{ folder: string; model: string; remove: () => void }> {
  const temporary = mkdtempSync(join(tmpdir(), "course-web-")), folder = join(temporary, "dist");
  const model = process.env["MODEL"] ?? temporary;
  if (model === temporary) writeFileSync(join(temporary, "model.onnx"), tiny());
  process.env["MODEL"] = model;
  await build({ logLevel: "error", build: { outDir: folder, emptyOutDir: true } });
  return { folder, model, remove: () => { rmSync(temporary, { recursive: true, force: true }); } };
}

export const CHROMIUM = { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"], timeout: 60_000 };
export const launch = (): Promise<Browser> => chromium.launch(CHROMIUM);

/** Opens the page; every error, and every request to another host, is added to `faults` */
export async function visit(browser: Browser, served: Served, faults: string[], options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(25_000);
  const host = new URL(served.url).origin;
  context.on("request", (request) => {
    if (!request.url().startsWith(host) && !/^(blob|data):/.test(request.url())) faults.push(`asks ${request.url()}`);
  });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  page.on("pageerror", (error) => { faults.push(error.message); });
  await page.addInitScript(() => {
    const answers: unknown[] = [];
    Object.assign(window, { answers });
    document.addEventListener("answer", (event) => {
      const { probabilities, pixels, unpacking, answering } = (event as CustomEvent).detail;
      answers.push({ probabilities: [...probabilities], pixels: [...pixels], unpacking, answering });
    });
  });
  await page.goto(served.url);
  return page;
}

export const ready = (page: Page): Promise<unknown> => page.waitForFunction(() => !document.getElementById("knows")!.hidden);

export interface Given {
  name: string;
  mimeType: string;
  buffer: Buffer;
}
export const given = (buffer: Buffer, name = "picture.png", mimeType = "image/png"): Given => ({ name, mimeType, buffer });

/** What the page makes of a file: an answer or the words of a refusal */
export async function ask(page: Page, file: Given): Promise<Answer | string> {
  const before = await page.evaluate(() => {
    document.getElementById("refusal")!.textContent = "";
    return (window as unknown as { answers: unknown[] }).answers.length;
  });
  await page.locator("#choose").setInputFiles(file);
  const handle = await page.waitForFunction((n) => {
    const { answers } = window as unknown as { answers: Answer[] };
    return answers[n] ?? document.getElementById("refusal")!.textContent;
  }, before);
  return await handle.jsonValue() as Answer | string;
}
