/** An ONNX file that course_lib exported, ready to answer */
import { InferenceSession, Tensor, env } from "onnxruntime-web/wasm";
import { type Facts, facts } from "./facts.ts";

export interface Network {
  readonly facts: Facts;
  /** Probabilities of the classes for one picture: `size` × `size` × 3 numbers from 0 to 255 */
  answer(pixels: Uint8Array): Promise<Float32Array>;
}

/** Opens a network; `wasm` is the address of onnxruntime's `ort-wasm-simd-threaded.wasm` */
export async function open(file: Uint8Array, wasm: string): Promise<Network> {
  const known = facts(file);
  env.wasm.wasmPaths = { wasm };
  env.wasm.numThreads = 1; // more need headers that plain file servers do not send
  const session = await InferenceSession.create(file, { executionProviders: ["wasm"], // unpacked once, not at each question:
    ...(known.packed ? { extra: { session: { disable_quant_qdq: "1" } } } : {}) });
  return {
    facts: known,
    async answer(pixels) {
      const pictures = new Tensor("uint8", pixels, [1, known.size, known.size, 3]);
      const { probabilities } = await session.run({ pictures }, ["probabilities"]);
      const data = probabilities?.data;
      if (!(data instanceof Float32Array) || data.length !== known.labels.length)
        throw new Error(`The network answers with ${data?.length} numbers for ${known.labels.length} names.`);
      return data;
    },
  };
}
