/** The style sheet of the element; all of its parts stand in one tree, so that it is one. */

import { unsafeCSS, type CSSResult } from "lit";
import base from "./base.css?inline";
import composer from "./composer.css?inline";
import messages from "./messages.css?inline";
import shell from "./shell.css?inline";
import text from "./text.css?inline";

export const sheets: CSSResult[] = [base, shell, messages, text, composer].map((sheet) => unsafeCSS(sheet));
