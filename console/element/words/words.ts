/** The language of the page: the reader's choice, else what the page or the browser says. */

import { lasting } from "../model/memory.ts";
import { en, type Words } from "./en.ts";
import { zh } from "./zh.ts";

export type Language = "en" | "zh-hans";
export const LANGUAGES: Record<Language, string> = { en: "English", "zh-hans": "简体中文" };

const choice = lasting("myagent.language");
let current: Words = en;

export const words = (): Words => current;

export const languageOf = (tag: string): Language => (tag.toLowerCase().startsWith("zh") ? "zh-hans" : "en");

export const wanted = (given: string): Language => {
  const chosen = choice.get();
  return chosen && chosen in LANGUAGES ? (chosen as Language) : languageOf(given || navigator.language);
};

export function speak(language: Language): void { current = language === "en" ? en : zh; }

export function choose(language: Language): void { choice.set(language); }
