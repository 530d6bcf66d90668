/** How much a browser keeps of files that were not sent. Needs no browser. */

export interface Box { key: string; bytes: number; at: number }

/** Of one conversation, and of all of them. */
export const MOST_BYTES = 32 * 2 ** 20;
const MOST_OF_ALL = 64 * 2 ** 20;
const LONGEST_MS = 7 * 86_400_000;

export const sizeOf = (files: { size: number }[]): number => files.reduce((sum, { size }) => sum + size, 0);

/** The keys of those that have to go when `own` is kept, too: what is a week old, and the oldest until all fit in. */
export function bounded(kept: Box[], own: Box): string[] {
  const others = kept.filter(({ key }) => key !== own.key).sort((one, other) => other.at - one.at);
  let bytes = own.bytes;
  return others.filter((box) => {
    bytes += box.bytes;
    return bytes > MOST_OF_ALL || own.at - box.at > LONGEST_MS;
  }).map(({ key }) => key);
}
