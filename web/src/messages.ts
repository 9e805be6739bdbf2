/** What the page and its worker say to each other */
import type { Facts } from "./facts.ts";

export interface Question {
  readonly id: number;
  readonly file: Blob;
}

export type Reply =
  | { readonly kind: "ready"; readonly facts: Facts }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "refused"; readonly id: number; readonly why: string }
  | {
    readonly kind: "answer";
    readonly id: number;
    readonly probabilities: Float32Array;
    /** What the network saw */
    readonly pixels: Uint8Array;
    /** Milliseconds to unpack and shrink the picture, and to answer */
    readonly unpacking: number;
    readonly answering: number;
  };
