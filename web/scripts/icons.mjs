// Draws the PNG icons from public/icon.svg in Chromium: node scripts/icons.mjs [CHROMIUM]
import { readFileSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const svg = readFileSync("public/icon.svg", "utf8");
// A mask may cut anything outside a circle of 80%: its ground reaches the edge, its drawing is smaller. iOS cuts corners itself.
const full = (share) => svg.replace('rx="12" ', "").replace(/(<path[\s\S]*)<\/svg>/,
  `<g transform="translate(${32 * (1 - share)} ${32 * (1 - share)}) scale(${share})">$1</g></svg>`);
const icons = { "icon-192": [192, svg], "icon-512": [512, svg], "icon-maskable-512": [512, full(0.75)], "icon-180": [180, full(0.9)] };

const browser = await chromium.launch({ executablePath: process.argv[2] ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, [size, source]] of Object.entries(icons)) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>body { margin: 0 } svg { display: block; width: 100vw }</style>${source}`);
  writeFileSync(`public/${name}.png`, await page.screenshot({ omitBackground: true }));
}
await browser.close();
