// The icon beside each search box of Django's selectors has a text for screen readers, and no role that may have one.
"use strict";
window.addEventListener("load", () => {
    for (const icon of document.querySelectorAll("span.help-tooltip[aria-label]")) icon.setAttribute("role", "img");
});
