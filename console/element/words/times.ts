/** Times and sizes in words. */

import { words } from "./words.ts";

const isChinese = (): boolean => words().send === "发送";
/** The reader's own way to write times, if it is of the language of the page. */
export function locale(): string {
  const language = isChinese() ? "zh" : "en";
  return navigator.language.toLowerCase().startsWith(language) ? navigator.language : language;
}

export function clock(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(locale(), isToday ? { hour: "numeric", minute: "2-digit" } : { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}

export const exact = (at: string): string => new Date(at).toLocaleString(locale(), { dateStyle: "full", timeStyle: "medium" });

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
