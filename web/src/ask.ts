/** The page that asks a Space: nothing is sent before a button is pressed */
import { show } from "./answer.ts";
import { find } from "./find.ts";
import { Refusal } from "./refusal.ts";
import { checkWeight, format } from "./format.ts";

const status = find("status", HTMLElement), refusal = find("refusal", HTMLElement), form = find("ask", HTMLFormElement);
const address = find("address", HTMLInputElement), picture = find("picture", HTMLInputElement);
let asked = 0;

async function ask(file: File): Promise<void> {
  const mine = ++asked;
  find("answer", HTMLElement).hidden = true;
  refusal.textContent = status.className = "";
  status.textContent = "Asking …";
  try {
    checkWeight(file.size);
    format(new Uint8Array(await file.arrayBuffer()));
    const { askSpace } = await import("./space.ts"), found = await askSpace(address.value, file);
    if (mine === asked) show(found.slice(0, 5));
  } catch (error) {
    if (mine !== asked) return;
    status.textContent = "";
    const words = error instanceof Error ? error.message : String(error);
    refusal.textContent = error instanceof Refusal ? words : `The Space gave no answer. ${words}`;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = picture.files?.[0];
  if (file) void ask(file);
});
