/** Times, numbers and sizes in words. */

import { words } from "./words.ts";

const isChinese = (): boolean => words().send === "发送";
/** The reader's own way to write times, if it is of the language of the page. */
export function locale(): string {
  const language = isChinese() ? "zh" : "en";
  return navigator.language.toLowerCase().startsWith(language) ? navigator.language : language;
}

const STYLES = {
  today: { hour: "numeric", minute: "2-digit" },
  day: { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" },
  exact: { dateStyle: "full", timeStyle: "medium" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** By language and style: to make one takes a hundred times as long as to use it. */
const formats = new Map<string, Intl.DateTimeFormat>();
const numbers = new Map<string, Intl.NumberFormat>();

function made<Format>(known: Map<string, Format>, key: string, make: () => Format): Format {
  const format = known.get(key) ?? make();
  known.set(key, format);
  return format;
}

function written(date: Date, style: keyof typeof STYLES): string {
  if (Number.isNaN(date.getTime())) return "";
  const language = locale();
  return made(formats, `${style} ${language}`, () => new Intl.DateTimeFormat(language, STYLES[style])).format(date);
}

export function clock(at: string): string {
  const date = new Date(at);
  return written(date, date.toDateString() === new Date().toDateString() ? "today" : "day");
}

export const exact = (at: string): string => written(new Date(at), "exact");

/** Makes what is needed first, while there is nothing else to do: a browser takes 20 ms to learn a language. */
export const prepareTimes = (): void => { clock(new Date().toISOString()); };

export function number(value: number): string {
  const language = locale();
  return made(numbers, language, () => new Intl.NumberFormat(language)).format(value);
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return spoken(ms);
}

/** Minutes and seconds, as a clock shows them. */
export function spoken(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const hours = Math.floor(seconds / 3_600);
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}` : `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

export function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${Math.round(bytes / 1_024)} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** Under which heading of the side bar a time belongs. */
export function age(at: string): string {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight.getTime() - new Date(at).getTime()) / 86_400_000);
  if (days <= 0) return words().today;
  if (days === 1) return words().yesterday;
  if (days <= 7) return words().thisWeek;
  return days <= 30 ? words().thisMonth : words().earlier;
}
