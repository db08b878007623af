// Light, dark, or as the system has it; kept in this browser.

const KEY = "onefold-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

let theme = localStorage.getItem(KEY) ?? "system";

export const current = () => theme;

export function begin() {
  document.documentElement.dataset.theme = theme;
}

export function turn() {
  theme = NEXT[theme] ?? "system";
  localStorage.setItem(KEY, theme);
  begin();
}
