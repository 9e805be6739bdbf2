/** The client of a Space, against one that runs on this machine at the address SPACE */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Browser, type Page } from "playwright-core";
import { askSpace } from "../src/space.ts";
import { built, given, launch } from "./browse.ts";
import { png } from "./files.ts";
import { type Served, serve } from "./serve.ts";

const address = process.env["SPACE"] ?? "";
const picture = png(Uint8Array.from({ length: 3 * 40 * 30 }, (_, i) => (i * i) % 251), 40, 30);

test.skipIf(!address)("names and probabilities", async () => {
  const found = await askSpace(address, new Blob([Uint8Array.from(picture)], { type: "image/png" }));
  expect(found.length).toBeGreaterThan(1);
  expect(found.map((g) => g.probability)).toEqual(found.map((g) => g.probability).toSorted((a, b) => b - a));
});

test.skipIf(!address).each(["no address", "ftp://x"])("%s is no address of a Space", async (wrong) => {
  await expect(askSpace(wrong, new Blob())).rejects.toThrow();
});

test.skipIf(!address)("an endpoint that is not there is told", async () => {
  await expect(askSpace(address, new Blob(), "/nothing")).rejects.toThrow();
});

if (address) {
  let served: Served, browser: Browser, page: Page, remove: () => void;
  beforeAll(async () => {
    const made = await built();
    remove = made.remove;
    served = await serve(made.folder);
    browser = await launch();
    page = await browser.newPage();
    page.setDefaultTimeout(25_000);
  });
  afterAll(async () => {
    await browser?.close();
    await served?.stop();
    remove?.();
  });
  test("its page", async () => {
    const hosts = new Set<string>();
    page.on("request", (r) => { hosts.add(new URL(r.url()).origin); });
    await page.goto(new URL("space.html", served.url).href);
    await page.getByLabel("Address").fill(address);
    await page.getByLabel("Picture").setInputFiles(given(picture));
    expect([...hosts]).toEqual([new URL(served.url).origin]); // nothing is asked before the button
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#answer").waitFor();
    expect([...hosts].toSorted()).toEqual([new URL(served.url).origin, new URL(address).origin].toSorted());
    await page.getByLabel("Picture").setInputFiles(given(Buffer.from("hello"), "a.png"));
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("The file is text").waitFor();
    await page.getByLabel("Address").fill("http://127.0.0.1:9");
    await page.getByLabel("Picture").setInputFiles(given(picture));
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("The Space gave no answer").waitFor();
  });
}
