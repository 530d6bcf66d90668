/** Amounts of money in words. */

import { locale } from "./times.ts";

/** With two decimals, or as many as the first two digits need. */
export function money(amount: number, currency: string): string {
  const decimals = amount > 0 && amount < 1 ? Math.min(9, 1 + Math.ceil(-Math.log10(amount))) : 2;
  return amount.toLocaleString(locale(), { style: "currency", currency, minimumFractionDigits: 2, maximumFractionDigits: Math.max(2, decimals) });
}
