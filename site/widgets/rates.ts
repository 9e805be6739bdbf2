import { BLUE, GREEN, GREY, INK, ORANGE, PURPLE, svg, type Widget } from "./frame.ts";

/** Rates that grow by a constant factor; the last stands one step short of the end. */
export function sweep(start = 1e-7, end = 10, count = 100): number[] {
  return Array.from({ length: count }, (_, i) => start * (end / start) ** (i / count));
}

/** Exponential moving average over the weight that it has handed out. */
export function movingAverage(losses: number[], beta = 0.98): number[] {
  let average = 0;
  return losses.map((loss, i) => {
    average = beta * average + (1 - beta) * loss;
    return average / (1 - beta ** (i + 1));
  });
}

const lowest = (xs: number[]): number => xs.indexOf(Math.min(...xs));

/** The rate of the lowest loss, divided by ten. */
export const minimum = (rates: number[], losses: number[]): number => rates[lowest(losses)]! / 10;

/** The rate where the loss falls fastest for each factor of the rate. */
export function steep(rates: number[], losses: number[]): number {
  const slopes = losses.slice(1).map((loss, i) => (loss - losses[i]!) / Math.log(rates[i + 1]! / rates[i]!));
  return rates[lowest(slopes)]!;
}

/** Half-way along the longest falling run of losses, however broken. */
export function valley(rates: number[], losses: number[]): number {
  const longest: number[] = losses.map(() => 1);
  for (let i = 1; i < losses.length; i++) {
    let best = 0;
    for (let j = 0; j < i; j++) if (losses[j]! > losses[i]!) best = Math.max(best, longest[j]!);
    longest[i]! += best;
  }
  const length = Math.max(...longest), end = longest.indexOf(length), third = Math.floor((end > 0 ? length : 0) / 3);
  const place = end - (end > 0 ? length : 0) + third + Math.floor(third / 2);
  return rates[(place + rates.length) % rates.length]!;
}

/** A ruler is pushed from the right until the slopes at its two ends agree. */
export function slide(rates: number[], losses: number[], width = 15, threshold = 0.005): number {
  const last = losses.length - 1;
  const slope = losses.map((_, i) => (i === 0 ? losses[1]! - losses[0]! : i === last ? losses[last]! - losses[last - 1]!
    : (losses[i + 1]! - losses[i - 1]!) / 2));
  let moves = 0;
  while (moves <= last - width && Math.abs(slope[last - moves]! - slope[last - width - moves]!) > threshold) moves++;
  return rates[last - width - Math.max(moves - 1, 0)]!;
}

/** A curve as a finder records it: flat, then falling, then flying off; the noise comes from a small generator. */
export function curve(rates: number[], place: number, noise: number, seed = 1): number[] {
  let state = seed;
  const draw = (): number => { state = (state * 48271) % 2147483647; return state / 2147483647; };
  return rates.map((rate) => {
    const x = Math.log10(rate) - place;
    const shape = 0.5 + 1.8 / (1 + Math.exp((x + 1.2) / 0.28)) + Math.min(3 ** (4 * x - 1), 4);
    const bell = Math.sqrt(-2 * Math.log(draw() || 1e-9)) * Math.cos(2 * Math.PI * draw());
    return Math.max(shape + noise * bell, 0.05);
  });
}

/** What a search keeps: it ends where the moving average stands at four times its best. */
export function recorded(losses: number[], beta: number): { losses: number[]; smooth: number[] } {
  const smooth = movingAverage(losses, beta);
  let best = Infinity;
  const end = smooth.findIndex((loss) => { best = Math.min(best, loss); return loss > 4 * best; });
  return end < 0 ? { losses, smooth } : { losses: losses.slice(0, end), smooth: smooth.slice(0, end) };
}

/** The rules do not see the first tenth of a curve and its last five points. */
const seen = (xs: number[], whole: number): number[] => xs.slice(Math.floor(whole / 10), xs.length - 5);

const RULES: [string, (rates: number[], losses: number[]) => number, string, string][] = [
  ["minimum", minimum, GREEN, "M -7 -6 H 7 V 6 H -7 Z"], ["steep", steep, PURPLE, "M 0 -9 L 8 0 L 0 9 L -8 0 Z"],
  ["valley", valley, ORANGE, "M 0 -8 L 8 7 L -8 7 Z"], ["slide", slide, INK, "M 0 8 L 8 -7 L -8 -7 Z"]];

const WIDE = 620, TALL = 300, LEFT = 46, BOTTOM = 262, TOP = 16;
const across = (rate: number): number => LEFT + ((Math.log10(rate) + 7) / 8) * (WIDE - LEFT - 12);
const up = (loss: number): number => BOTTOM - (Math.min(loss, 3.4) / 3.4) * (BOTTOM - TOP);

export const ratesWidget: Widget = {
  title: "The learning-rate curve and its rules",
  task: "Raise β until the line is smooth. How far to the right do its valley and the rules go? Then add noise.",
  controls: [
    { id: "beta", label: "smoothing β", min: 0, max: 0.99, step: 0.01, value: 0.9 },
    { id: "noise", label: "noise of the losses", min: 0, max: 0.5, step: 0.01, value: 0.1 },
    { id: "place", label: "where training breaks down, as a power of ten", min: -4, max: 0, step: 0.1, value: -1 },
  ],
  picture(values) {
    const rates = sweep(), { losses, smooth } = recorded(curve(rates, values.place!, values.noise!), values.beta!);
    const dots = losses.map((loss, i) => `<circle cx="${across(rates[i]!).toFixed(1)}" cy="${up(loss).toFixed(1)}" r="2" fill="${GREY}"/>`).join("");
    const line = smooth.map((loss, i) => `${i ? "L" : "M"}${across(rates[i]!).toFixed(1)} ${up(loss).toFixed(1)}`).join("");
    const marks = RULES.map(([, rule, colour, shape]) => {
      const rate = rule(seen(rates.slice(0, smooth.length), rates.length), seen(smooth, rates.length)), near = rates.slice(0, smooth.length).reduce((best, r, i) => (Math.abs(Math.log(r / rate)) < Math.abs(Math.log(rates[best]! / rate)) ? i : best), 0);
      return `<path d="${shape}" transform="translate(${across(rate).toFixed(1)} ${up(smooth[near]!).toFixed(1)})" fill="${colour}" stroke="#fff"/>`;
    }).join("");
    const legend = RULES.map(([name, , colour, shape], i) => `<path d="${shape}" transform="translate(${LEFT + 18} ${170 + 22 * i})" fill="${colour}"/>`
      + `<text x="${LEFT + 34}" y="${175 + 22 * i}" font-size="13">${name}</text>`).join("");
    const ticks = Array.from({ length: 9 }, (_, i) => i - 7).map((p) => `<text x="${across(10 ** p).toFixed(0)}" y="280" text-anchor="middle" font-size="12">10`
      + `<tspan dy="-4" font-size="9">${String(p).replace("-", "−")}</tspan></text>`).join("");
    return svg(WIDE, TALL, `<path d="M${LEFT} ${TOP}V${BOTTOM}H${WIDE - 8}" fill="none" stroke="${INK}"/>${ticks}`
      + `<text x="${WIDE / 2}" y="297" text-anchor="middle" font-size="12">learning rate</text>`
      + `<text transform="translate(16 ${(TOP + BOTTOM) / 2}) rotate(-90)" text-anchor="middle" font-size="12">loss</text>`
      + `${dots}<path d="${line}" fill="none" stroke="${BLUE}" stroke-width="2.5"/>${marks}${legend}`);
  },
  said(values) {
    const rates = sweep(), { smooth } = recorded(curve(rates, values.place!, values.noise!), values.beta!);
    const ask = (rule: (r: number[], l: number[]) => number): string =>
      rule(seen(rates.slice(0, smooth.length), rates.length), seen(smooth, rates.length)).toExponential(1);
    return `The rules say: ${RULES.map(([name, rule]) => `${name} ${ask(rule)}`).join(", ")}. Training breaks down near ${(10 ** values.place!).toExponential(1)}.`;
  },
};
