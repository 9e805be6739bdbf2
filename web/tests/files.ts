/** Small files of every kind, made by hand: whole, cut off and hostile */
import { crc32, deflateSync } from "node:zlib";

const text = (s: string) => Buffer.from(s, "latin1");
const big32 = (n: number) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const chunk = (name: string, data: Buffer) => {
  const body = Buffer.concat([text(name), data]);
  return Buffer.concat([big32(data.length), body, big32(crc32(body))]);
};

/** A PNG file of RGB or RGBA pixels; `claimed` puts another size into its head than it has */
export function png(rgb: Uint8Array, width: number, height: number, claimed: [number, number] = [width, height]): Buffer {
  const channels = rgb.length / (width * height), line = width * channels;
  const rows = Array.from({ length: height }, (_, y) => Buffer.concat([Buffer.of(0), rgb.subarray(y * line, (y + 1) * line)]));
  return Buffer.concat([text("\x89PNG\r\n\x1a\n"),
    chunk("IHDR", Buffer.concat([...claimed.map(big32), Buffer.of(8, channels === 4 ? 6 : 2, 0, 0, 0)])),
    chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))]);
}

/** The skeleton of a JPEG file: its segments without pixels that anything could show */
export function jpeg(width: number, height: number, scan = Buffer.of(1, 2, 0xff, 0, 3, 0xff, 0xd0, 4)): Buffer {
  const thumbnail = Buffer.of(0xff, 0xd8, 0xff, 0xd9);
  return Buffer.concat([Buffer.of(0xff, 0xd8, 0xff, 0xe1, 0, 2 + thumbnail.length), thumbnail,
    Buffer.of(0xff, 0xc2, 0, 8, 8, height >> 8, height & 255, width >> 8, width & 255, 1),
    Buffer.of(0xff, 0xda, 0, 2), scan, Buffer.of(0xff, 0xda, 0, 2), scan, Buffer.of(0xff, 0xd9)]);
}

const little = (n: number, size: number) => { const b = Buffer.alloc(size); b.writeUIntLE(n, 0, size); return b; };

/** One grey point in a GIF file, on a ground of `screen`, at a place */
export function gif(screen: [number, number], [left, top, width, height]: [number, number, number, number]): Buffer {
  return Buffer.concat([text("GIF89a"), ...screen.map((n) => little(n, 2)), Buffer.of(0x80, 0, 0, 0, 0, 0, 255, 255, 255),
    Buffer.of(0x21, 0xf9, 4, 0, 0, 0, 0, 0), Buffer.of(0x2c), ...[left, top, width, height].map((n) => little(n, 2)),
    Buffer.of(0, 2, 2, 0x44, 1, 0, 0x3b)]);
}

/** The head of a WebP file of each of its three kinds */
export function webp(kind: "VP8 " | "VP8L" | "VP8X", width: number, height: number): Buffer {
  const body = kind === "VP8X" ? Buffer.concat([Buffer.alloc(4), little(width - 1, 3), little(height - 1, 3)])
    : kind === "VP8L" ? Buffer.concat([Buffer.of(0x2f), little((width - 1) + (height - 1) * 16384, 4)])
    : Buffer.concat([Buffer.from([0, 0, 0, 0x9d, 1, 0x2a]), little(width, 2), little(height, 2)]);
  const data = Buffer.concat([text("WEBP"), text(kind), little(body.length, 4), body, Buffer.alloc(4)]);
  return Buffer.concat([text("RIFF"), little(data.length, 4), data]);
}

/** A BMP file of one colour, from the top or, as most are, from the bottom */
export function bmp(width: number, height: number, claimed = height): Buffer {
  const data = Buffer.alloc(((3 * width + 3) & ~3) * Math.abs(height), 200), all = 54 + data.length;
  return Buffer.concat([text("BM"), little(all, 4), Buffer.alloc(4), little(54, 4), little(40, 4), little(width, 4),
    little(claimed >>> 0, 4), little(1, 2), little(24, 2), Buffer.alloc(24), data]);
}
