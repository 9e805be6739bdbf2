import type { Widget } from "./frame.ts";
import { kernelWidget } from "./kernel.ts";
import { ratesWidget } from "./rates.ts";
import { softmaxWidget } from "./softmax.ts";

/** The widgets by the names under which a cell's metadata asks for them. */
export const WIDGETS: Record<string, Widget> = { softmax: softmaxWidget, kernel: kernelWidget, rates: ratesWidget };
