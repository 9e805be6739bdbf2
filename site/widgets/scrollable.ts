const WIDE = "mjx-container[display=true], .text_html, .pst-scrollable-table-container, pre";

/** What scrolls sideways can be reached with the Tab key, and what does not is no stop on the way. */
export function mark(place: HTMLElement): void {
  if (place.scrollWidth > place.clientWidth + 1) place.tabIndex = 0;
  else place.removeAttribute("tabindex");
}

/** Look again whenever the page's size changes, and when its formulas are typeset. */
export function scrollable(): void {
  const look = (): void => document.querySelectorAll<HTMLElement>(WIDE).forEach(mark);
  new ResizeObserver(look).observe(document.body);
  look();
}
