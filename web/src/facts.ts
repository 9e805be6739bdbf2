/** What travels in an ONNX file beside its graph: names and size, so that the page needs nothing but the file */

export interface Facts {
  /** The names of the classes, in the order of the probabilities */
  readonly labels: readonly string[];
  /** Width and height of the pictures that the network takes */
  readonly size: number;
  /** The version of course_lib that wrote the file */
  readonly version: string;
  /** Whether its weights are stored in eight bits only to be light, and become floats when it is opened */
  readonly packed: boolean;
}

/** The fields of a message in the wire format of protocol buffers: number and bytes of those that have a length */
export function* fields(bytes: Uint8Array): Generator<readonly [number, Uint8Array]> {
  let at = 0;
  const varint = () => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 63) throw new Error("The ONNX file ends in the middle of a number.");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint(), kind = key % 8;
    if (kind === 0) varint();
    else if (kind === 1 || kind === 5) at += kind === 1 ? 8 : 4;
    else if (kind === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error("The ONNX file is cut off.");
      yield [Math.floor(key / 8), bytes.subarray(at, at += length)];
    } else throw new Error(`The file is no ONNX file: a field of kind ${kind}.`);
  }
}

/** The metadata of an ONNX file, by name */
export function metadata(file: Uint8Array): Map<string, string> {
  const found = new Map<string, string>(), text = new TextDecoder();
  for (const [number, entry] of fields(file)) {
    if (number !== 14) continue; // ModelProto.metadata_props
    const pair = new Map([...fields(entry)].map(([n, bytes]) => [n, text.decode(bytes)]));
    found.set(pair.get(1) ?? "", pair.get(2) ?? "");
  }
  return found;
}

/** The facts of a file that course_lib exported; an Error that names what is missing from another */
export function facts(file: Uint8Array): Facts {
  const found = metadata(file), size = Number(found.get("size"));
  let labels: unknown;
  try { labels = JSON.parse(found.get("labels") ?? ""); } catch { /* named below */ }
  if (!Array.isArray(labels) || !labels.length || !labels.every((l) => typeof l === "string"))
    throw new Error("The ONNX file's metadata has no `labels`, a JSON list of names.");
  if (!Number.isInteger(size) || size < 1)
    throw new Error(`The ONNX file's metadata says size ${found.get("size")}, not a number of pixels.`);
  return { labels, size, version: found.get("course_lib") ?? "", packed: found.get("quantized") === "weights" };
}
