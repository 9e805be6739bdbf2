/** An element of the page, of the kind that the program takes it for */
export function find<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`The page has no ${kind.name} called ${id}.`);
  return element;
}
