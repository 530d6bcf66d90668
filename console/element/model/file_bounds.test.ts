import { expect, test } from "vitest";
import { bounded, MOST_BYTES, sizeOf } from "./file_bounds.ts";

const DAY = 86_400_000;
const own = { key: "own", bytes: MOST_BYTES, at: 10 * DAY };

test("what fits in stays, and what was kept under the same key counts no more", () => {
  const kept = [{ ...own, at: 0 }, { key: "a", bytes: MOST_BYTES, at: 9 * DAY }];
  expect(bounded(kept, own)).toEqual([]);
});

test("the oldest goes when there is too much, and what is a week old in any case", () => {
  const kept = [
    { key: "old", bytes: 1, at: 2 * DAY },
    { key: "older", bytes: MOST_BYTES, at: 7 * DAY },
    { key: "newer", bytes: MOST_BYTES, at: 8 * DAY },
  ];
  expect(bounded(kept, own)).toEqual(["older", "old"]);
  expect(bounded(kept.slice(0, 1), own)).toEqual(["old"]);
});

test("files have the size of all together", () => {
  expect(sizeOf([{ size: 2 }, { size: 3 }])).toBe(5);
  expect(sizeOf([])).toBe(0);
});
