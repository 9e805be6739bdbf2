/** From the bytes of a file to the square of pixels that a network takes, as Pillow would make it */
import { format } from "./format.ts";
import { Refusal } from "./refusal.ts";
import { resizeColumns, resizeRows, weights } from "./resize.ts";

/** So many pixels are unpacked into a canvas at once; telephones allow no canvas much larger */
const BAND = 2_000_000;

/** The largest square in the middle of a picture */
export function middle(width: number, height: number): { left: number; top: number; side: number } {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), side };
}

/** The middle of a picture, `size` pixels square: red, green and blue of each pixel, row by row, transparent on white */
export async function pixels(file: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const { type } = format(file);
  const bitmap = await createImageBitmap(new Blob([file], { type }), // turned as its camera says, colours as stored
    { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" })
    .catch(() => { throw new Refusal("The file is broken: its picture cannot be unpacked."); });
  try {
    const { left, top, side } = middle(bitmap.width, bitmap.height);
    const high = Math.min(side, Math.max(1, Math.floor(BAND / side)));
    const context = new OffscreenCanvas(side, high).getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This browser gives no canvas to unpack pictures in.");
    context.fillStyle = "#fff";
    const to = weights(side, size), narrow = new Uint8Array(3 * side * size);
    for (let row = 0; row < side; row += high) {
      const rows = Math.min(high, side - row);
      context.fillRect(0, 0, side, rows);
      context.drawImage(bitmap, left, top + row, side, rows, 0, 0, side, rows);
      resizeRows(context.getImageData(0, 0, side, rows).data, side, to, narrow, row);
    }
    return resizeColumns(narrow, size, to) as Uint8Array<ArrayBuffer>;
  } finally {
    bitmap.close();
  }
}
