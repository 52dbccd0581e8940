/* Browsing a scheme: links change the right-hand side only, so that the tree stays as it is. */

import { Finder, data, element, make, root, show, showFailure, t } from "./common.js";

const tree = element("tree");
const detail = element("detail");
const base = `${root}/scheme/${encodeURIComponent(data.scheme)}`;

async function go(address, push = true) {
  try {
    const asked = new URL(address, location.href);
    asked.searchParams.set("piece", "1");
    const response = await fetch(asked);
    show(detail, await response.text());
    if (push) history.pushState(null, "", address);
    select(new URL(address, location.href).pathname);
    // The address names a language too: the other one is the same place.
    const other = element("other-language");
    other.href = other.pathname.slice(0, 3) + location.pathname.slice(3) + location.search;
    detail.scrollTop = 0;
    if (detail.getBoundingClientRect().top < 0) detail.scrollIntoView();
  } catch {
    showFailure(detail, t("error.offline"));
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#tree a, #detail a");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && link.pathname.startsWith(`${base}/`)) {
    event.preventDefault();
    const item = link.closest("[role=treeitem]");
    if (item?.hasAttribute("aria-expanded")) item.setAttribute("aria-expanded", "true");
    go(link.href);
    return;
  }
  // The mark before a node is part of its item, not of its link.
  const item = event.target.closest("#tree [role=treeitem]");
  if (item && event.target === item) toggle(item);
});
window.addEventListener("popstate", () => go(location.href, false));

/* --- the tree: one stop for the tab key, arrows inside ---------------------------------- */

const link = (item) => item.querySelector(":scope > a");
const above = (item) => item.parentElement.closest("[role=treeitem]");

function toggle(item, open = item.getAttribute("aria-expanded") !== "true") {
  if (item.hasAttribute("aria-expanded")) item.setAttribute("aria-expanded", String(open));
}

function select(path, block = "nearest") {
  for (const item of tree.querySelectorAll("[aria-selected]")) item.removeAttribute("aria-selected");
  const found = [...tree.querySelectorAll("a")].find((one) => one.pathname === path);
  if (!found) return;
  const item = found.closest("[role=treeitem]");
  item.setAttribute("aria-selected", "true");
  for (let one = above(item); one; one = above(one)) toggle(one, true);
  stop(item);
  found.scrollIntoView({ block });
}

function stop(item) {
  for (const one of tree.querySelectorAll("a[tabindex='0']")) one.tabIndex = -1;
  link(item).tabIndex = 0;
}

function shown() {
  return [...tree.querySelectorAll("[role=treeitem]")].filter((item) => link(item).offsetParent !== null);
}

tree.addEventListener("keydown", (event) => {
  const item = event.target.closest("[role=treeitem]");
  const items = shown();
  const at = items.indexOf(item);
  const expanded = item.getAttribute("aria-expanded");
  let next = null;
  if (event.key === "ArrowDown") next = items[at + 1];
  else if (event.key === "ArrowUp") next = items[at - 1];
  else if (event.key === "Home") next = items[0];
  else if (event.key === "End") next = items.at(-1);
  else if (event.key === "ArrowRight" && expanded === "false") toggle(item, true);
  else if (event.key === "ArrowRight" && expanded === "true") next = items[at + 1];
  else if (event.key === "ArrowLeft" && expanded === "true") toggle(item, false);
  else if (event.key === "ArrowLeft") next = above(item);
  else return;
  event.preventDefault();
  if (next) {
    stop(next);
    link(next).focus();
  }
});

/* --- finding ----------------------------------------------------------------------------- */

element("find").dataset.nothing = t("browse.nothing");
let searching = null;
new Finder(element("find"), element("found"), {
  async search(text) {
    searching?.abort();
    searching = new AbortController();
    try {
      const response = await fetch(`${base}/find?${new URLSearchParams({ q: text })}`, { signal: searching.signal });
      return response.ok ? await response.json() : [];
    } catch (error) {
      return error.name === "AbortError" ? null : [];
    }
  },
  option: (one) => [
    make("span", { class: `kind ${one.level}` }, one.level.length === 2 ? t(`case.${one.level}`) : one.level.toUpperCase()),
    make("span", { class: "code" }, one.code),
    make("span", { class: "name" }, one.name),
  ],
  choose(one) {
    if (one) go(`${base}/${one.path.split("/").map(encodeURIComponent).join("/")}`);
  },
});

stop(tree.querySelector("[role=treeitem]"));
select(location.pathname, "center");
window.scrollTo(0, 0);
