/** The page: takes a picture from a button, the camera, a drop or the clipboard, and shows what the worker answers */
import examples from "virtual:examples";
import { show as showGuesses } from "./answer.ts";
import type { Facts } from "./facts.ts";
import { find } from "./find.ts";
import type { Question, Reply } from "./messages.ts";
import { likeliest, milliseconds } from "./words.ts";

/** A picture that keeps the worker busy for longer than this was made to do so */
const PATIENCE = 30_000;

const status = find("status", HTMLElement), refusal = find("refusal", HTMLElement), answer = find("answer", HTMLElement);
const drop = find("drop", HTMLElement), yours = find("yours", HTMLImageElement), theirs = find("theirs", HTMLCanvasElement);

let facts: Facts | undefined, loaded = false, worker = start(), asked = 0, waiting = false, file: File | undefined, clock = 0;

function start(): Worker {
  loaded = false;
  const made = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  made.onmessage = (event: MessageEvent<Reply>) => { hear(event.data); };
  made.onerror = () => { hear({ kind: "failed", why: "This browser could not start it." }); };
  return made;
}

function hear(reply: Reply): void {
  if (reply.kind === "failed") {
    status.textContent = "";
    refuse(`The network could not be loaded. ${reply.why} Reload the page to try again.`);
  } else if (reply.kind === "ready") {
    loaded = true;
    know(reply.facts);
    if (waiting) watch();
  } else if (reply.id === asked) { // the answer to an older picture is not waited for
    waiting = false;
    clearTimeout(clock);
    if (reply.kind === "refused") refuse(reply.why);
    else {
      show(reply);
      tell(reply);
    }
  }
}

/** Asks about a picture; the answer to an earlier one is forgotten */
function ask(picture: File): void {
  refusal.textContent = status.className = "";
  status.textContent = facts ? "Looking …" : "Loading the network, then looking …";
  file = picture;
  const question: Question = { id: ++asked, file: picture };
  worker.postMessage(question);
  waiting = true;
  if (loaded) watch();
}

/** Gives a picture up, with the worker that cannot get away from it */
function watch(): void {
  clearTimeout(clock);
  clock = window.setTimeout(() => {
    waiting = false;
    worker.terminate();
    worker = start();
    refuse("The picture took too long to unpack, and was given up.");
  }, PATIENCE);
}

function refuse(why: string): void {
  answer.hidden = true;
  if (facts) status.textContent = "";
  refusal.textContent = why;
}

function know(known: Facts): void {
  if (!facts && !asked) status.textContent = "Ready.";
  facts = known;
  const knows = find("knows", HTMLElement), names = known.labels.map((l) => l.replaceAll("_", " "));
  knows.hidden = false;
  find("only", HTMLElement).textContent = `It knows ${names.length} names and has no word for anything else, whatever a picture shows.`;
  knows.querySelector("summary")!.textContent = `The ${names.length} names it knows`;
  find("labels", HTMLElement).replaceChildren(...names.map((n) => Object.assign(document.createElement("li"), { textContent: n })));
  find("version", HTMLElement).textContent = known.version && `Network of course_lib ${known.version}.`;
}

function show({ probabilities, pixels, unpacking, answering }: Extract<Reply, { kind: "answer" }>): void {
  if (!facts || !file) return;
  showGuesses(likeliest(facts.labels, probabilities));
  find("took", HTMLElement).textContent = `Unpacked in ${milliseconds(unpacking)}, answered in ${milliseconds(answering)}.`;
  draw(pixels, facts.size);
  URL.revokeObjectURL(yours.src);
  yours.src = URL.createObjectURL(file);
  yours.alt = file.name ? `Your picture, ${file.name}` : "Your picture";
}

/** Whoever puts this page into another, or tests it, hears of every answer as the event `answer` of the document */
const tell = (reply: Reply) => { document.dispatchEvent(new CustomEvent("answer", { detail: reply })); };

/** What the network saw, each of its pixels a square */
function draw(rgb: Uint8Array, size: number): void {
  theirs.width = theirs.height = size;
  const context = theirs.getContext("2d")!, image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i++) image.data.set([rgb[3 * i]!, rgb[3 * i + 1]!, rgb[3 * i + 2]!, 255], 4 * i);
  context.putImageData(image, 0, 0);
  theirs.setAttribute("aria-label", `The middle of your picture, ${size} × ${size} pixels`);
  find("shrunk", HTMLElement).textContent = `What the network sees: its middle, ${size}\u00a0×\u00a0${size} pixels`;
}

/** The first file of a drop or of the clipboard */
function take(from: DataTransfer | null): void {
  const given = from?.files[0];
  if (given) ask(given);
  else refuse("That was no file. Save the picture first, then choose it.");
}

for (const id of ["choose", "photograph"]) {
  const input = find(id, HTMLInputElement);
  input.addEventListener("change", () => {
    const given = input.files?.[0];
    input.value = ""; // the same picture may be chosen again
    if (given) ask(given);
  });
}
/** A small picture that asks about itself */
function example({ name, url }: (typeof examples)[number]): HTMLLIElement {
  const item = document.createElement("li"), button = document.createElement("button"), image = document.createElement("img");
  Object.assign(image, { src: url, alt: `Example: ${name.replace(/(_\d+)?\.\w+$/, "").replaceAll("_", " ")}`, width: 64, height: 64 });
  button.type = "button";
  button.append(image);
  button.addEventListener("click", () => {
    void fetch(url).then(async (response) => { ask(new File([await response.blob()], name)); }, () => { refuse("The example could not be fetched."); });
  });
  item.append(button);
  return item;
}
find("examples", HTMLElement).hidden = !examples.length;
find("examples", HTMLElement).querySelector("ul")!.replaceChildren(...examples.map(example));
find("camera", HTMLElement).hidden = !matchMedia("(pointer: coarse)").matches;
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer); });
document.addEventListener("paste", (event) => { take(event.clipboardData); });
void navigator.serviceWorker?.ready.then(() => {
  find("offline", HTMLElement).textContent = "Kept on this device: works without a connection.";
});
