/** A plain file server, as GitHub Pages is one: packs what can be packed, sends no special headers */
import { existsSync, readFileSync, statSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css",
  ".svg": "image/svg+xml", ".png": "image/png", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8" };

export interface Served {
  /** Address of the first page */
  readonly url: string;
  /** Bytes sent for each file, packed */
  readonly sent: Map<string, number>;
  /** Answers no more, and cuts the connections that are open */
  stop(): Promise<void>;
}

export async function serve(folder: string, base = "/course_lib/"): Promise<Served> {
  const packed = new Map<string, Buffer>(), sent = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "", "http://x").pathname);
    const name = path.startsWith(base) ? path.slice(base.length) || "index.html" : "";
    const file = normalize(join(folder, name));
    if (!name || !file.startsWith(normalize(folder)) || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    if (!packed.has(file)) packed.set(file, gzipSync(readFileSync(file)));
    sent.set(name, packed.get(file)!.length);
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-encoding": "gzip" });
    response.end(packed.get(file));
  });
  await new Promise<void>((done) => { server.listen(0, "127.0.0.1", done); });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`;
  return { url, sent, stop: () => new Promise((done) => { server.close(() => { done(); }); server.closeAllConnections(); }) };
}
