import { mount } from "./frame.ts";
import { scrollable } from "./scrollable.ts";
import { WIDGETS } from "./widgets.ts";

for (const place of document.querySelectorAll<HTMLElement>("figure[data-widget]")) {
  const widget = WIDGETS[place.dataset.widget ?? ""];
  if (widget) mount(place, widget);
}
scrollable();
