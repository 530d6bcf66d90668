// What a browser says of its network and of its page.

import type { Happening } from "./link.ts";

/** Tell `feed` of it until the controller that is returned aborts; null where there is no browser. */
export function watchWorld(feed: (happening: Happening) => void): AbortController | null {
  const { document, navigator } = globalThis as Partial<typeof globalThis>;
  if (!document) return null;
  const controller = new AbortController();
  const { signal } = controller;
  addEventListener("online", () => feed({ type: "online" }), { signal });
  addEventListener("offline", () => feed({ type: "offline" }), { signal });
  addEventListener("pageshow", () => feed({ type: "awake" }), { signal });
  const look = (): void => {
    if (document.visibilityState === "visible") feed({ type: "awake" });
  };
  document.addEventListener("visibilitychange", look, { signal });
  if (navigator?.onLine === false) feed({ type: "offline" });
  return controller;
}
