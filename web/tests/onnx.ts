/** Writes a tiny network by hand, so that the page can be built and tested where no Python is */

const bytes = (...parts: (number | Uint8Array)[]) => Uint8Array.from(parts.flatMap((p) => (typeof p === "number" ? [p] : [...p])));
function varint(n: number): Uint8Array {
  const out: number[] = [];
  for (; n > 127; n = Math.floor(n / 128)) out.push((n % 128) + 128);
  return Uint8Array.from([...out, n]);
}
const whole = (field: number, n: number) => bytes(varint(field * 8), varint(n));
const part = (field: number, data: Uint8Array | string) => {
  const raw = typeof data === "string" ? new TextEncoder().encode(data) : data;
  return bytes(varint(field * 8 + 2), varint(raw.length), raw);
};
const FLOAT = 1, UINT8 = 2, INT64 = 7;

function tensor(name: string, shape: number[], type: number, raw: ArrayBufferView): Uint8Array {
  return bytes(...shape.map((n) => whole(1, n)), whole(2, type), part(8, name),
    part(9, new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)));
}
const attribute = (name: string, n: number) => part(5, bytes(part(1, name), whole(3, n), whole(20, 2)));
const node = (kind: string, inputs: string[], output: string, ...attributes: Uint8Array[]) =>
  part(1, bytes(...inputs.map((i) => part(1, i)), part(2, output), part(4, kind), ...attributes));
function value(field: number, name: string, type: number, shape: (number | string)[]): Uint8Array {
  const sides = shape.map((n) => part(1, typeof n === "string" ? part(2, n) : whole(1, n)));
  return part(field, bytes(part(1, name), part(2, part(1, bytes(whole(1, type), part(2, bytes(...sides)))))));
}

export const LABELS = ["dark", "red", "green", "a_blue_one"];
export const SIZE = 8;
/** [3, 4], row by row */
const WEIGHTS = Float32Array.of(-0.02, 0.05, -0.01, 0, -0.02, -0.01, 0.05, 0, -0.02, 0, -0.01, 0.05);

/** The probabilities that `tiny` gives a picture: softmax of the mean colour times the weights */
export function expected(rgb: Uint8Array): number[] {
  const mean = [0, 1, 2].map((c) => rgb.reduce((sum, v, i) => sum + (i % 3 === c ? v : 0), 0) / (rgb.length / 3));
  const scores = LABELS.map((_, k) => Math.exp(mean.reduce((sum, m, c) => sum + m * WEIGHTS[4 * c + k]!, 0)));
  return scores.map((s) => s / scores.reduce((a, b) => a + b));
}

/** An ONNX file with the signature that course_lib exports */
export function tiny(facts: Record<string, string> = { labels: JSON.stringify(LABELS), size: String(SIZE), course_lib: "0.0.0" }): Uint8Array {
  const graph = bytes(
    node("Cast", ["pictures"], "numbers", attribute("to", FLOAT)),
    node("ReduceMean", ["numbers", "axes"], "colour", attribute("keepdims", 0)),
    node("MatMul", ["colour", "weights"], "scores"),
    node("Softmax", ["scores"], "probabilities"),
    part(2, "tiny"),
    part(5, tensor("axes", [2], INT64, BigInt64Array.of(1n, 2n))),
    part(5, tensor("weights", [3, 4], FLOAT, WEIGHTS)),
    value(11, "pictures", UINT8, ["batch", SIZE, SIZE, 3]),
    value(12, "probabilities", FLOAT, ["batch", LABELS.length]));
  const props = Object.entries(facts).map(([key, text]) => part(14, bytes(part(1, key), part(2, text))));
  return bytes(whole(1, 10), part(7, graph), part(8, whole(2, 18)), ...props);
}
