/** The page's pictures: lines on a field of 24, in the colour of the text. */

import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";

const PATHS = {
  menu: svg`<path d="M4 6h16M4 12h16M4 18h16"/>`,
  sidebar: svg`<rect x="3" y="4" width="18" height="16" rx="2.5"/><path d="M9 4v16"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  compose: svg`<path d="M12 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-6"/><path d="m9.5 14.5.6-3L18 3.6a1.7 1.7 0 0 1 2.4 2.4l-7.9 7.9z"/>`,
  search: svg`<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>`,
  dots: svg`<circle cx="5" cy="12" r="1.2"/><circle cx="12" cy="12" r="1.2"/><circle cx="19" cy="12" r="1.2"/>`,
  send: svg`<path d="M12 20V5M5.5 11.5 12 5l6.5 6.5"/>`,
  stop: svg`<rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor"/>`,
  clip: svg`<path d="m20 11-8.4 8.4a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.4 8.4a1.7 1.7 0 0 1-2.4-2.4l7.7-7.7"/>`,
  copy: svg`<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5.5 15H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1v.5"/>`,
  check: svg`<path d="m5 12.5 4.5 4.5L19 7.5"/>`,
  cross: svg`<path d="m6 6 12 12M18 6 6 18"/>`,
  again: svg`<path d="M4 12a8 8 0 1 1 2.4 5.7"/><path d="M4 19v-5h5"/>`,
  back: svg`<path d="M9 6 4 11l5 5"/><path d="M4 11h10a6 6 0 0 1 6 6v1"/>`,
  edit: svg`<path d="m4 20 1-4.5L16.5 4a2 2 0 0 1 2.9 0l.6.6a2 2 0 0 1 0 2.9L8.5 19z"/>`,
  up: svg`<path d="M7 11v9H4v-9zM7 11l4-8a2.2 2.2 0 0 1 2.3 2.6L12.7 9H18a2 2 0 0 1 2 2.4l-1.3 7A2 2 0 0 1 16.700 20H7"/>`,
  down: svg`<path d="M17 13V4h3v9zM17 13l-4 8a2.2 2.2 0 0 1-2.300-2.600l.6-3.400H6a2 2 0 0 1-2-2.400l1.300-7A2 2 0 0 1 7.300 4H17"/>`,
  newest: svg`<path d="M12 5v14M5.500 12.500 12 19l6.500-6.500"/>`,
  chevron: svg`<path d="m9 6 6 6-6 6"/>`,
  tool: svg`<path d="M14.500 6.500a4 4 0 0 1 5-3.800l-2.600 2.600.5 1.900 1.900.5 2.600-2.600a4 4 0 0 1-5.200 5L8.500 18.300a2 2 0 0 1-2.800-2.800l8.200-8.200z"/>`,
  braces: svg`<path d="M9.5 4C7 4 6.500 5 6.500 7v2c0 2-1 3-2.500 3 1.500 0 2.500 1 2.500 3v2c0 2 .500 3 3 3M14.500 4c2.500 0 3 1 3 3v2c0 2 1 3 2.500 3-1.500 0-2.500 1-2.500 3v2c0 2-.500 3-3 3"/>`,
  thought: svg`<path d="M9 18h6M10 21h4M12 3a6 6 0 0 1 3.500 10.900c-.6.500-1 1.300-1 2.100h-5c0-.8-.4-1.600-1-2.100A6 6 0 0 1 12 3z"/>`,
  hand: svg`<circle cx="12" cy="12" r="9"/><path d="M9.500 9.300a2.600 2.600 0 1 1 3.700 2.300c-.8.400-1.200 1-1.200 1.900"/><circle cx="12" cy="16.800" r=".6" fill="currentColor"/>`,
  file: svg`<path d="M13 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V9z"/><path d="M13 3v6h6"/>`,
  gear: svg`<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>`,
  branch: svg`<circle cx="6" cy="5.500" r="2"/><circle cx="6" cy="18.500" r="2"/><circle cx="18" cy="8.500" r="2"/><path d="M6 7.500v9M18 10.500c0 3.500-3 4-6 4.300-3 .2-6 .7-6 1.700"/>`,
  chat: svg`<path d="M4 5.500h16v11H11l-4.500 4v-4H4z"/>`,
  warning: svg`<path d="M12 4 2.800 20h18.400z"/><path d="M12 10v4.500"/><circle cx="12" cy="17.200" r=".6" fill="currentColor"/>`,
} satisfies Record<string, SVGTemplateResult>;

export type Icon = keyof typeof PATHS;

export const icon = (name: Icon): TemplateResult => html`<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${PATHS[name]}</svg>`;
