/** A typed client of the API of a Space that `course_lib.deploy.space` made: a picture there, names and probabilities back */
import { Client } from "@gradio/client";
import type { Guess } from "./words.ts";

/** What `gradio.Label` sends, as far as it is read here */
interface Label {
  readonly confidences: readonly { readonly label: string; readonly confidence: number }[];
}

function isLabel(sent: unknown): sent is Label {
  const list = (sent as Partial<Label> | null | undefined)?.confidences;
  return Array.isArray(list) && list.length > 0
    && list.every((c) => typeof c?.label === "string" && typeof c.confidence === "number" && c.confidence >= 0 && c.confidence <= 1);
}

/** The guesses in what an endpoint sent, the likeliest first; an Error for anything else */
export function guesses(sent: unknown): Guess[] {
  const [first] = Array.isArray(sent) ? (sent as unknown[]) : [];
  if (!isLabel(first)) throw new Error("The Space sent no names with probabilities: is it one for pictures?");
  return first.confidences.map(({ label, confidence }) => ({ label: label.replaceAll("_", " "), probability: confidence }))
    .sort((a, b) => b.probability - a.probability);
}

/** Asks the Space at an address (`https://...`, or `http://127.0.0.1:7860` on this machine) about a picture */
export async function askSpace(address: string, picture: Blob, endpoint = "/predict"): Promise<Guess[]> {
  const client = await Client.connect(new URL(address).href, { events: ["data"] });
  try {
    return guesses((await client.predict(endpoint, [picture])).data);
  } finally {
    client.close();
  }
}
