// Where a WebSocket is opened, and with what.

import { expect, test } from "vitest";
import { socketAddress } from "./address.ts";

test.each([
  ["http://localhost:8080/", "ws://localhost:8080/"],
  ["https://agents.example.com/ws/shop/#top", "wss://agents.example.com/ws/shop/"],
  ["ws://localhost:8080/?x=1", "ws://localhost:8080/?x=1"],
])("%s is %s", (url, href) => {
  expect(socketAddress(url)).toEqual({ href, protocols: [] });
});

test("the language is asked for in the address", () => {
  expect(socketAddress("ws://localhost/?lang=en", "zh-hans").href).toBe("ws://localhost/?lang=zh-hans");
});

test("a token is in the address only where it cannot be a subprotocol", () => {
  const one = socketAddress("ws://localhost/", undefined, "mya_1.2-3");
  expect(one).toEqual({ href: "ws://localhost/", protocols: ["bearer", "mya_1.2-3"] });
  const other = socketAddress("ws://localhost/", undefined, "a b");
  expect(other).toEqual({ href: "ws://localhost/?token=a+b", protocols: [] });
});

test.each(["localhost:8080", "ftp://localhost/", "nonsense"])("%s is no address", (url) => {
  expect(() => socketAddress(url)).toThrow(TypeError);
});
