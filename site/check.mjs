// Looks at every page of the site in a browser: node check.mjs FOLDER CHROMIUM WORDS.json [--pictures FOLDER] [--all] [PAGE...]
// The first page and the lessons wide and light, narrow and dark; other pages in one of these, in turn. --all: every page
// at both widths, light and dark. Prints one line for each fault, then what was measured; ends with 1 if there was a fault,
// with 3 if the browser itself gave up.
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, relative } from "node:path";
import { createGzip } from "node:zlib";
import { chromium } from "playwright-core";

const [folder, executablePath, words, ...rest] = process.argv.slice(2);
const pictures = rest[0] === "--pictures" ? rest.splice(0, 2)[1] : "";
const all = rest[0] === "--all" && Boolean(rest.shift());
const BASE = "/course_lib/";
const LIMIT = 1_500_000; // bytes that a chapter may transfer, packed as GitHub Pages packs them
const FORMS = [[1280, "light"], [375, "dark"], [1280, "dark"], [375, "light"]];
const isLesson = (page) => /^\d\d_/.test(page);
const formsOf = (page) => (all ? FORMS : isLesson(page) || page === "index.html" ? FORMS.slice(0, 2) : [FORMS[pages.indexOf(page) % 2]]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".png": "image/png",
  ".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2", ".woff": "font/woff",
  ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".xml": "application/xml" };
const PACKED = new Set([".html", ".js", ".css", ".svg", ".json", ".xml"]);

const server = createServer((request, response) => {
  const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
  let file = join(folder, name.startsWith(BASE) ? name.slice(BASE.length) || "index.html" : "missing");
  const found = existsSync(file) && statSync(file).isFile();
  if (!found) file = join(folder, "404.html");
  const kind = extname(file), packed = PACKED.has(kind);
  response.writeHead(found ? 200 : 404, { "content-type": TYPES[kind] ?? "application/octet-stream",
    ...(packed ? { "content-encoding": "gzip" } : {}) });
  const data = createReadStream(file);
  (packed ? data.pipe(createGzip({ level: 6 })) : data).pipe(response);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const host = `http://127.0.0.1:${server.address().port}`;

const every = readdirSync(folder, { recursive: true }).filter((f) => f.endsWith(".html") && !f.startsWith("_")).sort();
const pages = rest.length ? rest.flatMap((r) => every.filter((p) => p.startsWith(r))) : every;
const faults = [], heavy = [], unseen = []; // unseen: the browser crashed or had no time, which is no fault of a page
const fault = (page, form, text) => { faults.push(`${page} (${form}): ${text}`); console.log(faults.at(-1)); };
const launch = () => chromium.launch({ executablePath, args: ["--no-sandbox"] });
const gaveUp = (e) => e?.name === "TimeoutError" || /has been closed|crashed/i.test(String(e)); // anything else is a fault
process.on("uncaughtException", (e) => { console.log(String(e?.stack ?? e)); process.exit(faults.length || !gaveUp(e) ? 1 : 3); });
let browser = await launch();

async function look(name, width, scheme) {
  const form = `${width} px, ${scheme}`;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme,
    reducedMotion: "reduce" });
  const page = await context.newPage();
  const sizes = [];
  await context.route("**/*", (route) => {
    if (route.request().url().startsWith(host)) return route.continue();
    fault(name, form, `asks another host: ${route.request().url()}`);
    return route.abort();
  });
  page.on("console", (m) => m.type() === "error" && fault(name, form, `console: ${m.text()}`));
  page.on("pageerror", (e) => fault(name, form, `error: ${e.message}`));
  page.on("requestfinished", (r) => sizes.push(r.sizes().catch(() => ({ responseBodySize: 0 }))));
  page.on("response", (r) => r.status() >= 400 && fault(name, form, `${r.status()} for ${r.url().slice(host.length)}`));
  await page.goto(host + BASE + name, { waitUntil: "networkidle" });
  await page.evaluate(() => document.querySelectorAll("img[loading=lazy]").forEach((i) => { i.loading = "eager"; }));
  await page.evaluate(() => window.MathJax?.startup?.promise);
  await page.waitForFunction(() => [...document.images].every((i) => i.complete));
  const seen = await page.evaluate(() => {
    const math = [...document.querySelectorAll("article .math")];
    const text = document.createTreeWalker(document.querySelector("article") ?? document.body, NodeFilter.SHOW_TEXT);
    const dollars = [];
    for (let n = text.nextNode(); n; n = text.nextNode())
      if (!n.parentElement.closest("code, pre, script, mjx-container") && /\$[^$\s][^$]*\$|\\\(|\\\[/.test(n.data)) dollars.push(n.data.trim().slice(0, 60));
    return { wide: document.documentElement.scrollWidth - window.innerWidth, formulas: math.length,
      plain: math.filter((m) => !m.querySelector("mjx-container")).length,
      wrong: [...document.querySelectorAll("mjx-merror")].map((m) => m.textContent.slice(0, 60)), dollars,
      broken: [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src),
      mute: [...document.querySelectorAll("article img:not([alt])")].length };
  });
  if (seen.wide > 0) fault(name, form, `${seen.wide} px wider than the screen`);
  if (seen.plain) fault(name, form, `${seen.plain} of ${seen.formulas} formulas are not typeset`);
  for (const w of seen.wrong) fault(name, form, `formula: ${w}`);
  for (const d of seen.dollars) fault(name, form, `a formula in plain text: ${d}`);
  for (const b of seen.broken) fault(name, form, `no picture at ${b}`);
  if (seen.mute) fault(name, form, `${seen.mute} pictures without alt text`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const v of found.violations)
    if (["serious", "critical"].includes(v.impact))
      fault(name, form, `axe ${v.id} (${v.impact}), ${v.nodes.length} times, such as ${v.nodes[0].html.slice(0, 120)} at ${v.nodes[0].target}`);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size.responseBodySize, 0);
  if (width === formsOf(name)[0][0] && scheme === formsOf(name)[0][1]) heavy.push([bytes, name, seen.formulas]);
  if (bytes > LIMIT && isLesson(name)) fault(name, form, `transfers ${bytes} bytes`);
  for (const figure of await page.locator("figure[data-widget]").all()) {
    const words = figure.locator("output");
    for (const control of await figure.locator("input, select").all()) {
      const before = await words.textContent();
      await control.focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowDown");
      if (await words.textContent() === before) fault(name, form, `the widget does not answer the keyboard: ${await control.getAttribute("id")}`);
    }
  }
  if (pictures) {
    mkdirSync(pictures, { recursive: true });
    const file = `${name.replaceAll("/", "-")}-${width}-${scheme}.png`;
    await page.screenshot({ path: join(pictures, file), fullPage: process.env.WHOLE === "1" });
  }
  await context.close();
}

async function searches() {
  const asked = JSON.parse(readFileSync(words, "utf8"));
  for (const address of [host + BASE + "search.html", "file://" + join(folder, "search.html")]) {
    const page = await browser.newPage();
    await page.goto(address, { waitUntil: "networkidle" });
    const missing = await page.evaluate(async (list) => {
      while (!Search.hasIndex()) await new Promise((go) => setTimeout(go, 50));
      return list.filter((w) => !Search._performSearch(...Search._parseQuery(w)).length);
    }, asked);
    for (const w of missing) fault("search.html", address.split(":")[0], `does not find ${w}`);
    await page.close();
  }
  return asked.length;
}

for (const page of pages) for (const [width, scheme] of formsOf(page)) await look(page, width, scheme).catch((e) => gaveUp(e) ? unseen.push(`${page} (${width} px, ${scheme}): ${e}`.split("\n")[0])
    : fault(page, `${width} px, ${scheme}`, String(e)));
await browser.close();
browser = await launch(); // the search has much in memory
const asked = pages.includes("search.html") ? await searches() : 0;
const lost = await (await browser.newPage()).goto(`${host}${BASE}no/such/page`);
if (lost.status() !== 404) fault("404.html", "any", "is not shown for a page that is missing");
await browser.close();
server.close();
heavy.sort((a, b) => b[0] - a[0]);
console.log(`${pages.length} pages, ${pages.flatMap(formsOf).length} looks, ${heavy.reduce((n, h) => n + h[2], 0)} formulas, ${asked} words searched, `
  + `${faults.length} faults. Heaviest: ${heavy.slice(0, 3).map(([b, n]) => `${n} ${(b / 1e6).toFixed(2)} MB`).join(", ")}`);
for (const u of unseen) console.log(`not seen: ${u}`);
process.exit(faults.length ? 1 : unseen.length ? 3 : 0);
