import { expect, test } from "vitest";
import { blocksOf } from "./grammar.ts";

const NOTES = "Text[^1] and[^2].\n\n> quoted\n\n[^1]: The first note.\n\n    Its second paragraph.\n[^2]: The second one.\n";

test("each block is whole, however far the text has come", () => {
  for (let length = 1; length <= NOTES.length; length += 1) {
    for (const { html } of blocksOf(NOTES.slice(0, length), { docId: "1" })) {
      const opened = [...html.matchAll(/<(section|ol|li|p|blockquote)\b/g)].length;
      const closed = [...html.matchAll(/<\/(section|ol|li|p|blockquote)>/g)].length;
      expect(closed, NOTES.slice(0, length)).toBe(opened);
    }
  }
});
