/** The pictures of lesson 14: tools/assets/doors.py asks for them, into the folder DOORS, with a Space's app at SPACE */
import { join } from "node:path";
import { type Page, chromium } from "playwright-core";
import { expect, test } from "vitest";
import { CHROMIUM, built, ready, visit } from "./browse.ts";
import { serve } from "./serve.ts";

const into = process.env["DOORS"] ?? "", space = process.env["SPACE"] ?? "", picture = process.env["PICTURE"] ?? "";

async function answered(page: Page): Promise<void> {
  await page.locator("#choose").setInputFiles(picture);
  await page.locator("#answer").waitFor();
  await page.evaluate(() => { document.querySelector("#examples")?.remove(); window.scrollTo(0, 0); });
}

test.skipIf(!into)("doors", async () => {
  const { folder, remove } = await built(), served = await serve(folder), browser = await chromium.launch(CHROMIUM);
  const faults: string[] = [];
  try {
    const desk = await visit(browser, served, faults, { viewport: { width: 820, height: 620 } });
    const phone = await visit(browser, served, faults, { viewport: { width: 375, height: 700 }, isMobile: true, hasTouch: true });
    for (const page of [desk, phone]) {
      await ready(page);
      await page.getByText("Kept on this device").waitFor();
    }
    await answered(desk);
    await desk.screenshot({ path: join(into, "14_page.png") });
    await served.stop(); // from here on no server answers
    await phone.reload();
    await ready(phone);
    await answered(phone);
    await phone.screenshot({ path: join(into, "14_phone.png") });
    expect(faults).toEqual([]);
    const app = await (await browser.newContext({ viewport: { width: 820, height: 620 } })).newPage();
    app.setDefaultTimeout(120_000);
    await app.goto(space, { waitUntil: "domcontentloaded" });
    await app.locator("input[type=file]").first().setInputFiles(picture);
    await app.getByRole("button", { name: "Submit" }).click();
    await app.getByText(/\d+%/).first().waitFor();
    await app.waitForTimeout(1500); // its bars grow
    await app.screenshot({ path: join(into, "14_space.png") });
  } finally {
    await browser.close();
    await served.stop();
    remove();
  }
}, 600_000);
