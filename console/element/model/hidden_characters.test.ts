import { expect, test } from "vitest";
import vectors from "../../../tests/support/vectors/hidden_characters.json";
import { escaped, marked } from "./hidden_characters.ts";

function codes(ranges: string[][]): Set<number> {
  const found = new Set<number>();
  for (const [first, last] of ranges) for (let code = parseInt(first!, 16); code <= parseInt(last!, 16); code += 1) found.add(code);
  return found;
}

const hidden = codes(vectors.hidden);
/** Databases of characters differ in them. */
const newer = codes(vectors.since_unicode_15);

/** So many are looked at together; none of these pieces begins in one half of the surrogates and ends in the other. */
const PIECE = 0x400;

test("exactly the characters that the server marks are marked", () => {
  for (let first = 0; first <= 0x10ffff; first += PIECE) {
    const piece = [...Array(PIECE).keys()].map((at) => first + at).filter((code) => !newer.has(code));
    const wanted = piece.map((code) => (hidden.has(code) ? `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩` : String.fromCodePoint(code)));
    expect(marked(String.fromCodePoint(...piece))).toBe(wanted.join(""));
  }
}, 60_000);

test("what is edited stays the same value", () => {
  const value = `a\u202eb${String.fromCodePoint(0xe0041)}\u0000`;
  const json = escaped(JSON.stringify(value));
  expect(json).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(json)).toBe(value);
});
