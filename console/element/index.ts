// The custom element <myagent-chat>: what other pages load.
import { ChatElement, origin } from "./view/chat_element.ts";

// This file is at static/console/ of its server: without an address that is the one to talk to. It is known where it
// runs, not where it is built.
origin.address = new URL(/* @vite-ignore */ "../../", import.meta.url).href;

if (!customElements.get("myagent-chat")) customElements.define("myagent-chat", ChatElement);

export { ChatElement };
