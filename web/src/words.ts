/** What the page says, apart from where it says it */

export interface Guess {
  readonly label: string;
  readonly probability: number;
}

/** The `most` likeliest names, the likeliest first */
export function likeliest(labels: readonly string[], probabilities: ArrayLike<number>, most = 5): Guess[] {
  return labels.map((label, i) => ({ label: label.replaceAll("_", " "), probability: probabilities[i] ?? 0 }))
    .sort((a, b) => b.probability - a.probability).slice(0, most);
}

/** A probability as a percentage that never says 0 or 100 where it is not meant */
export function percent(probability: number): string {
  if (probability < 0.01) return "under 1%";
  return probability > 0.99 && probability < 1 ? "over 99%" : `${Math.round(100 * probability)}%`;
}

/** One sentence for the first guess; below one half the other names together are the likelier answer */
export function sentence({ label, probability }: Guess): string {
  return probability > 0.5 ? `The network gives “${label}” a probability of ${percent(probability)}.`
    : `The network is not sure: “${label}” is its first guess, with a probability of ${percent(probability)}.`;
}

/** A duration, in words */
export const milliseconds = (ms: number) => (ms < 1 ? "under 1 ms" : `${Math.round(ms)} ms`);
