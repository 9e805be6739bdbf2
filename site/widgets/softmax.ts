import { bars, type Widget } from "./frame.ts";

export const CLASSES = ["cat", "dog", "fox", "owl"];

/** Probabilities of logits that are divided by a temperature first; the largest logit is taken off, so nothing overflows. */
export function softmax(logits: number[], temperature = 1): number[] {
  const top = Math.max(...logits);
  const powers = logits.map((z) => Math.exp((z - top) / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** The entropy in nats of probabilities; what is impossible adds nothing. */
export function entropy(probabilities: number[]): number {
  return probabilities.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
}

const percent = (p: number): string => (p < 0.001 ? "under 0.1%" : `${(100 * p).toFixed(1)}%`);

export const softmaxWidget: Widget = {
  title: "Softmax and temperature",
  task: "Move a logit: every probability answers. Then raise the temperature. What happens to the order, what to the heights?",
  controls: [
    ...CLASSES.map((name, i) => ({ id: name, label: `logit of ${name}`, min: -4, max: 4, step: 0.1, value: [2, 1, 0.2, -1.5][i]! })),
    { id: "temperature", label: "temperature", min: 0.1, max: 8, step: 0.1, value: 1 },
  ],
  picture(values) {
    const p = softmax(CLASSES.map((c) => values[c]!), values.temperature);
    return bars(CLASSES, p, p.map(percent), "probability");
  },
  said(values) {
    const p = softmax(CLASSES.map((c) => values[c]!), values.temperature);
    const named = CLASSES.map((c, i) => `${c} ${percent(p[i]!)}`).join(", ");
    return `At temperature ${values.temperature!.toFixed(1)}: ${named}. Entropy ${entropy(p).toFixed(2)} of at most ${Math.log(p.length).toFixed(2)} nats.`;
  },
};
