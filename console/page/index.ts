// The page around the element, as the server's own root serves it.
import "./page.css";
import type { ChatElement } from "../element/index.ts";
import "../element/index.ts";
import { taken } from "./query.ts";

/** What the server tells its page, as data. */
interface Config {
  title?: string;
  logo?: string;
  root?: string;
  agent?: string;
  language?: string;
}

const data = document.getElementById("myagent-config")?.textContent;
const config = JSON.parse(data || "{}") as Config;
const query = taken(["token", "agent"]);

const chat = document.createElement("myagent-chat") as ChatElement;
Object.assign(chat, {
  mode: "page",
  own: true,
  server: new URL(config.root ?? "./", location.href).href,
  heading: config.title ?? "",
  logo: config.logo ?? "",
  agent: query["agent"] ?? config.agent ?? "",
  token: query["token"] ?? "",
});
chat.setAttribute("mode", "page");
if (config.language) chat.lang = config.language;
document.body.prepend(chat);
