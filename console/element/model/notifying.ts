/** Notifications of the browser about questions that somebody does not see. */

import { lasting } from "./memory.ts";

const choice = lasting("myagent.notify");

const isPossible = (): boolean => "Notification" in globalThis && isSecureContext;

export const isNotifying = (): boolean => isPossible() && choice.get() === "yes" && Notification.permission === "granted";

/** Switches them on or off; false where the browser does not permit them. */
export async function notify(isWanted: boolean): Promise<boolean> {
  choice.set("");
  if (!isWanted) return true;
  if (!isPossible() || (await Notification.requestPermission()) !== "granted") return false;
  choice.set("yes");
  return true;
}

export function notifyOf(title: string, body: string, tag: string, act: () => void): void {
  if (!isNotifying()) return;
  try {
    const notification = new Notification(title, { body, tag });
    notification.onclick = () => { window.focus(); notification.close(); act(); };
  } catch (error) {
    // Phones have them for installed pages only.
    console.info("No notification is shown:", error);
  }
}
