import { mount } from "./frame";
import { scrollable } from "./scrollable";
import { WIDGETS } from "./widgets";

for (const place of document.querySelectorAll<HTMLElement>("figure[data-widget]")) {
  const widget = WIDGETS[place.dataset.widget ?? ""];
  if (widget) mount(place, widget);
}
scrollable();
