import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Plugin, defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

const EXAMPLES = 4;
/** The folder that `python -m tools.build.web_model` wrote */
const model = resolve(process.env["MODEL"] ?? join(import.meta.dirname, "model"));

/** A few pictures that lie beside the network, for those who have none: `virtual:examples` gives their names and addresses */
const examples: Plugin = {
  name: "examples",
  resolveId: (id) => (id === "virtual:examples" ? "\0examples" : null),
  load(id) {
    if (id !== "\0examples") return null;
    const folder = join(model, "pictures"), files = existsSync(folder) ? readdirSync(folder).filter((f) => f.endsWith(".jpg")).sort() : [];
    const few = files.filter((_, i) => i % Math.ceil(files.length / EXAMPLES) === 0);
    const imports = few.map((file, i) => `import a${i} from ${JSON.stringify(`${join(folder, file).replaceAll("\\", "/")}?url`)};`);
    return `${imports.join("\n")}\nexport default [${few.map((file, i) => `{ name: ${JSON.stringify(file)}, url: a${i} }`).join(", ")}];`;
  },
};

/** Says what is missing, when a page is made; to show one that is made needs no network beside it */
const needsNetwork: Plugin = {
  name: "needs-network",
  buildStart() {
    if (!existsSync(join(model, "model.onnx")))
      throw new Error(`No network in ${model}: write one with \`python -m tools.build.web_model web/model\` in the folder above.`);
  },
};

export default defineConfig({
  base: "./", // the pages work in any folder of a server
  resolve: { alias: { "@model": model } },
  server: { fs: { allow: [import.meta.dirname, model] } },
  assetsInclude: ["**/*.onnx"],
  worker: { format: "es" },
  build: { target: "es2022", assetsInlineLimit: 0,
    rollupOptions: { input: ["index.html", "space.html"].map((page) => join(import.meta.dirname, page)) } },
  plugins: [needsNetwork, examples, VitePWA({
    registerType: "autoUpdate",
    injectRegister: "script-defer",
    includeManifestIcons: false, // they are among the files below
    workbox: {
      globPatterns: ["**/*.{html,js,css,wasm,onnx,svg,png,jpg,webmanifest,txt}"],
      maximumFileSizeToCacheInBytes: 40_000_000,
    },
    manifest: {
      id: ".", start_url: ".", scope: ".", display: "standalone", lang: "en",
      name: "What is in the picture?", short_name: "course_lib",
      description: "A small neural network that names what is in a picture, on your own device.",
      background_color: "#ffffff", theme_color: "#00567f", categories: ["education"],
      icons: [
        { src: "icon-192.png", sizes: "192x192", type: "image/png" },
        { src: "icon-512.png", sizes: "512x512", type: "image/png" },
        { src: "icon-maskable-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        { src: "icon.svg", sizes: "any", type: "image/svg+xml" },
      ],
    },
  })],
});
