/** Holds the network, so that the page stays awake while a picture is unpacked and looked at */
import model from "@model/model.onnx?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { checkWeight } from "./format.ts";
import type { Question, Reply } from "./messages.ts";
import { type Network, open } from "./network.ts";
import { pixels } from "./pixels.ts";
import { Refusal } from "./refusal.ts";

const say = (reply: Reply) => { self.postMessage(reply); };
const words = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function load(): Promise<Network> {
  const response = await fetch(new URL(model, self.location.href));
  if (!response.ok) throw new Error(`The network could not be fetched (${response.status}).`);
  const network = await open(new Uint8Array(await response.arrayBuffer()), new URL(wasm, self.location.href).href);
  const { size } = network.facts;
  await network.answer(new Uint8Array(3 * size * size)); // the first answer is the slowest
  return network;
}

async function answer({ id, file }: Question): Promise<Reply> {
  try {
    checkWeight(file.size);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const network = await loaded;
    const start = performance.now();
    const seen = await pixels(bytes, network.facts.size);
    const unpacked = performance.now();
    const probabilities = await network.answer(seen);
    return { kind: "answer", id, probabilities, pixels: seen, unpacking: unpacked - start,
      answering: performance.now() - unpacked };
  } catch (error) {
    return { kind: "refused", id, why: error instanceof Refusal ? error.message : `That did not work: ${words(error)}` };
  }
}

const loaded = load();
loaded.then(({ facts }) => { say({ kind: "ready", facts }); }, (error: unknown) => { say({ kind: "failed", why: words(error) }); });
self.onmessage = (event: MessageEvent<Question>) => { void answer(event.data).then(say); };
