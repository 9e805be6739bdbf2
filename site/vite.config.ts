import { writeFileSync } from "node:fs";
import { defineConfig } from "vite";
import { initial } from "./widgets/frame.ts";
import { WIDGETS } from "./widgets/widgets.ts";

/** What stands in a page until, or instead of, its script: a picture of each widget, and its words. */
const stills = {
  name: "stills",
  closeBundle(): void {
    for (const [name, widget] of Object.entries(WIDGETS))
      writeFileSync(`static/widget-${name}.svg`, `${widget.picture(initial(widget))}\n`);
    const words = Object.entries(WIDGETS).map(([name, w]) => [name, { title: w.title, task: w.task, said: w.said(initial(w)) }]);
    writeFileSync("widgets/words.json", `${JSON.stringify(Object.fromEntries(words), null, 1)}\n`);
  },
};

export default defineConfig({
  plugins: [stills],
  publicDir: false,
  build: {
    outDir: "static", emptyOutDir: false, target: "es2022",
    lib: { entry: "widgets/main.ts", name: "widgets", formats: ["iife"], fileName: () => "widgets.js" },
  },
});
