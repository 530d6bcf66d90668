/** Conversations with their copies, and the copies of these, as one entry of a list. */

import type { Kin, Row } from "./frame.ts";

export const familyOf = (row: Row): string => row.family_id ?? row.session_id;

/** Newest first. Times are written so that their characters are in their order. */
export function byActivity(one: Row, other: Row): number {
  return one.active_at === other.active_at ? 0 : one.active_at < other.active_at ? 1 : -1;
}

export interface Family {
  id: string;
  /** The one with the newest activity, which stands for all. */
  head: Row;
  /** The others that are known, newest first. */
  others: Row[];
  /** Of all, also of those that the server has not told yet. */
  size: number;
}

/** The families of these rows, the one with the newest activity first. `away` are rows that are to be deleted. */
export function families(rows: Row[], kin: ReadonlyMap<string, Kin>, away: ReadonlySet<string> = new Set()): Family[] {
  const members = new Map<string, Row[]>();
  const leaving = new Map<string, number>();
  for (const row of rows) {
    const id = familyOf(row);
    if (away.has(row.session_id)) leaving.set(id, (leaving.get(id) ?? 0) + 1);
    else members.set(id, [...(members.get(id) ?? []), row]);
  }
  return [...members]
    .map(([id, all]): Family => {
      const [head, ...others] = all.sort(byActivity) as [Row, ...Row[]];
      return { id, head, others, size: Math.max(all.length, (kin.get(id)?.size ?? 1) - (leaving.get(id) ?? 0)) };
    })
    .sort((one, other) => byActivity(one.head, other.head));
}

/**
 * What is known after the server told `fresh` anew: without rows that would have to be among them, because they are
 * newer than the last of these, and with those that come behind it if there `isMore`. Of each family it told the newest.
 */
export function renewed(known: Row[], fresh: Row[], isMore: boolean, stays: (row: Row) => boolean): Row[] {
  const told = new Set(fresh.map((row) => row.session_id));
  const newest = new Map<string, string>();
  for (const row of fresh) if (row.active_at > (newest.get(familyOf(row)) ?? "")) newest.set(familyOf(row), row.active_at);
  const last = fresh.at(-1)?.active_at ?? "";
  const kept = known.filter((row) => {
    if (told.has(row.session_id)) return false;
    const head = newest.get(familyOf(row));
    if (head !== undefined && row.active_at > head) return false;
    return stays(row) || (isMore && row.active_at < last);
  });
  return [...fresh, ...kept];
}
