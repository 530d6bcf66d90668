/** What a reader may choose for the page, and the way to the server's other pages. */

import type { Chat } from "../model/chat.ts";
import { lasting } from "../model/memory.ts";
import { isNotifying } from "../model/notifying.ts";
import { LANGUAGES, words, type Language } from "../words/words.ts";
import type { Choice } from "./menu.ts";

export type Theme = "auto" | "light" | "dark";

const theme = lasting("myagent.theme");

export const chosenTheme = (given: string): Theme => {
  const chosen = theme.get() || given;
  return chosen === "light" || chosen === "dark" ? chosen : "auto";
};

export const chooseTheme = (chosen: Theme): void => theme.set(chosen);

export interface Acts {
  theme(theme: Theme): void;
  language(language: Language): void;
  notify(isWanted: boolean): void;
  door(): void;
}

export function settingsOf(chat: Chat, current: { theme: Theme; language: Language }, acts: Acts): Choice[] {
  const { welcome, server } = chat;
  const themes: [Theme, string][] = [["auto", words().themeAuto], ["light", words().themeLight], ["dark", words().themeDark]];
  return [
    { label: words().theme, isCaption: true },
    ...themes.map(([name, label]) => ({ label, isChecked: current.theme === name, does: () => acts.theme(name) })),
    { label: words().language, isCaption: true },
    ...(Object.entries(LANGUAGES) as [Language, string][]).map(([name, label]) => ({ label, isChecked: current.language === name, does: () => acts.language(name) })),
    { label: words().settings, isCaption: true },
    { label: words().notify, isChecked: isNotifying(), isAlone: true, does: () => acts.notify(!isNotifying()) },
    { label: words().connection, does: acts.door },
    ...(server.isOwn && welcome.staff ? [{ label: words().admin, href: server.page("admin/") }] : []),
    ...(server.isOwn && welcome.credential === "cookie" ? [
      { label: words().account, href: server.page("account/") },
      { label: words().leave, href: server.page("logout/") },
    ] : []),
    ...(server.isOwn && !welcome.user ? [{ label: words().login, href: server.loginPage }] : []),
  ];
}
