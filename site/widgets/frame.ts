/** What every widget is made of: controls, a picture drawn from their values, and the same in words. */
export interface Slider { id: string; label: string; min: number; max: number; step: number; value: number }
export interface Choice { id: string; label: string; choices: string[]; value: number }
export type Control = Slider | Choice;
export type Values = Record<string, number>;
export interface Widget {
  title: string;
  task: string;
  controls: Control[];
  picture(values: Values): string;
  said(values: Values): string;
}

export const [INK, BLUE, ORANGE, GREEN, PURPLE, GREY] = ["#222b33", "#0072b2", "#c04f00", "#007a5a", "#8f4f86", "#8a949e"] as const;

/** The values with which a widget begins. */
export const initial = (widget: Widget): Values => Object.fromEntries(widget.controls.map((c) => [c.id, c.value]));

/** A picture of its own, drawn on white like the figures of the course. */
export function svg(width: number, height: number, inside: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="14" fill="${INK}">`
    + `<rect width="${width}" height="${height}" fill="#fff"/>${inside}</svg>`;
}

/** Upright bars between 0 and 1 with their names below and their values above. */
export function bars(names: string[], heights: number[], labels: string[], axis: string): string {
  const wide = 90, tall = 190, left = 40;
  const each = names.map((name, i) => {
    const x = left + 10 + i * wide, high = heights[i]! * tall;
    return `<rect x="${x}" y="${(220 - high).toFixed(1)}" width="${wide - 20}" height="${high.toFixed(1)}" fill="${BLUE}"/>`
      + `<text x="${x + (wide - 20) / 2}" y="${(213 - high).toFixed(1)}" text-anchor="middle">${labels[i]}</text>`
      + `<text x="${x + (wide - 20) / 2}" y="240" text-anchor="middle">${name}</text>`;
  });
  return svg(left + names.length * wide + 10, 250, `<path d="M${left} 20V220H${left + names.length * wide}" fill="none" stroke="${INK}"/>`
    + `<text transform="translate(22 120) rotate(-90)" text-anchor="middle">${axis}</text>${each.join("")}`);
}

/** Put a widget in the place of its still picture. */
export function mount(place: HTMLElement, widget: Widget): void {
  const values = initial(widget), id = `widget-${place.dataset.widget}`;
  const make = <K extends keyof HTMLElementTagNameMap>(tag: K, facts: Record<string, string> = {}): HTMLElementTagNameMap[K] => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
    return made;
  };
  const picture = make("div", { class: "picture", role: "img" }), words = make("output", { "aria-live": "polite" });
  const form = make("form", { "aria-label": widget.title });
  form.addEventListener("submit", (event) => event.preventDefault());
  const draw = (): void => {
    picture.innerHTML = widget.picture(values);
    words.textContent = widget.said(values);
    picture.setAttribute("aria-label", words.textContent);
  };
  for (const control of widget.controls) {
    const row = make("p"), label = make("label", { for: `${id}-${control.id}` }), shown = make("span", { class: "value", "aria-hidden": "true" });
    label.textContent = control.label;
    const input = "choices" in control ? make("select", { id: label.htmlFor })
      : make("input", { id: label.htmlFor, type: "range", min: `${control.min}`, max: `${control.max}`, step: `${control.step}` });
    if ("choices" in control) control.choices.forEach((text, i) => input.append(new Option(text, String(i))));
    input.value = String(control.value);
    const tell = (): void => { if (!("choices" in control)) shown.textContent = values[control.id]!.toFixed(control.step < 0.1 ? 2 : control.step < 1 ? 1 : 0); };
    input.addEventListener("input", () => { values[control.id] = Number(input.value); tell(); draw(); });
    tell();
    row.append(label, input, shown);
    form.append(row);
  }
  const again = make("button", { type: "button" });
  again.textContent = "As it was";
  again.addEventListener("click", () => {
    for (const control of widget.controls) {
      const input = form.querySelector<HTMLInputElement | HTMLSelectElement>(`#${CSS.escape(`${id}-${control.id}`)}`)!;
      input.value = String(control.value);
      input.dispatchEvent(new Event("input"));
    }
  });
  form.append(again);
  draw();
  place.querySelector("img")?.replaceWith(picture, form, words);
}
