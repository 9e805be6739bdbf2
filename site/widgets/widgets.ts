import type { Widget } from "./frame";
import { kernelWidget } from "./kernel";
import { ratesWidget } from "./rates";
import { softmaxWidget } from "./softmax";

/** The widgets by the names under which a cell's metadata asks for them. */
export const WIDGETS: Record<string, Widget> = { softmax: softmaxWidget, kernel: kernelWidget, rates: ratesWidget };
