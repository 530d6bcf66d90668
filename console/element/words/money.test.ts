import { expect, test, vi } from "vitest";
import { money } from "./money.ts";

test("an amount has two decimals, or as many as its first two digits need", () => {
  vi.stubGlobal("navigator", { language: "en-US" });
  const shown = [0, 1, 12345.678, 0.5, 0.05, 0.0123456, 0.00007, 0.0000000012].map((amount) => money(amount, "USD"));
  expect(shown).toEqual(["$0.00", "$1.00", "$12,345.68", "$0.50", "$0.05", "$0.012", "$0.00007", "$0.000000001"]);
  expect(money(2, "CNY")).toBe("CN¥2.00");
});
