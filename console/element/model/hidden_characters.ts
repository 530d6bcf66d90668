/** What nobody sees, or what turns the order of letters around, made visible: it could make a call look like another. */

const HIDDEN = /(?![\t\n\u{FE0E}\u{FE0F}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Variation_Selector}\u{34F}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{2065}\u{3164}\u{FFA0}\u{E0000}-\u{E0FFF}]/gu;

/** A text that somebody decides by, with a mark for each of these; the same as `with_marks` does on the server. */
export const marked = (text: string): string =>
  text.replace(HIDDEN, (sign) => `⟨U+${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** JSON to be edited, with escapes instead: what is sent stays what it was. */
export const escaped = (json: string): string =>
  json.replace(HIDDEN, (sign) =>
    [...Array(sign.length).keys()].map((at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""));

export const pretty = (value: unknown): string => JSON.stringify(value, null, 2) ?? "";
