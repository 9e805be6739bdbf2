import { find } from "./find.ts";
import { type Guess, percent, sentence } from "./words.ts";

function row({ label, probability }: Guess): HTMLTableRowElement {
  const made = document.createElement("tr");
  made.append(Object.assign(document.createElement("th"), { scope: "row", textContent: label }),
    Object.assign(document.createElement("td"), { textContent: percent(probability) }));
  made.style.setProperty("--share", `${(100 * probability).toFixed(1)}%`);
  return made;
}

/** Shows the likeliest names, and says the first one to those who listen */
export function show(guesses: readonly Guess[]): void {
  const [first] = guesses, status = find("status", HTMLElement);
  if (!first) return;
  status.textContent = sentence(first); // the same words stand below the name
  status.className = "spoken";
  find("said", HTMLElement).textContent = first.label;
  find("sure", HTMLElement).textContent = sentence(first);
  find("names", HTMLElement).replaceChildren(...guesses.map(row));
  find("answer", HTMLElement).hidden = false;
}
