/* What every page needs: words, requests, keys. No request leaves this server. */

const element = (id) => document.getElementById(id);
const parsed = (id) => JSON.parse(element(id)?.textContent || "{}");

export const words = parsed("words");
export const data = parsed("data");
export const root = document.body.dataset.root;
export { element };

export function t(key, ...values) {
  let at = 0;
  return (words[key] || key).replaceAll("{}", () => values[at++] ?? "");
}

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/* A piece of a page: the server has escaped every text in it. */
export function show(target, html) {
  target.innerHTML = html;
}

export function showFailure(target, message) {
  const told = make("p", {}, message);
  target.replaceChildren(make("div", { class: "failure", role: "alert" }, make("strong", {}, t("error")), told));
}

export async function send(path, body, options = {}) {
  const plain = !(body instanceof Blob);
  return fetch(root + path, {
    method: "POST",
    headers: { "content-type": plain ? "application/json" : "application/octet-stream" },
    body: plain ? JSON.stringify(body) : body,
    ...options,
  });
}

export function later(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

/* A text field with a list of what may be meant: `search` gives the options, `choose` takes one. */
export class Finder {
  constructor(input, list, { search, choose, option }) {
    Object.assign(this, { input, list, search, choose, option, options: [], at: -1, asked: null, looking: null });
    this.soon = later(70, () => this.look());
    input.addEventListener("input", () => this.soon());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("focus", () => input.value.trim() && this.soon());
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    list.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const item = event.target.closest("[role=option]");
      if (item) this.take(Number(item.dataset.at));
    });
  }

  look() {
    const text = this.input.value.trim();
    if (text === this.asked) return this.open();
    // One search at a time for a text: a second one would call the first one off, and Enter waits for it.
    if (this.looking?.text !== text) {
      const looking = { text };
      looking.done = this.ask(text).finally(() => {
        if (this.looking === looking) this.looking = null;
      });
      this.looking = looking;
    }
    return this.looking.done;
  }

  async ask(text) {
    const options = text ? await this.search(text) : [];
    if (text !== this.input.value.trim() || options === null) return;
    this.asked = text;
    this.options = options;
    this.at = options.length ? 0 : -1;
    this.open();
  }

  open() {
    const text = this.input.value.trim();
    if (!text || document.activeElement !== this.input) return this.close();
    const items = this.options.map((one, at) =>
      make("li", { role: "option", id: `found-${at}`, "data-at": at, "aria-selected": String(at === this.at) }, ...this.option(one)));
    if (!items.length) items.push(make("li", { class: "nothing", role: "presentation" }, this.nothing));
    this.list.replaceChildren(...items);
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  mark() {
    for (const item of this.list.querySelectorAll("[role=option]")) {
      const here = Number(item.dataset.at) === this.at;
      item.setAttribute("aria-selected", String(here));
      if (here) {
        item.scrollIntoView({ block: "nearest" });
        this.input.setAttribute("aria-activedescendant", item.id);
      }
    }
  }

  async key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape" && !this.list.hidden) {
      this.close();
      event.stopPropagation();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && this.options.length) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + step + this.options.length) % this.options.length;
      if (this.list.hidden) this.open();
      else this.mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const text = this.input.value.trim();
      if (!text) return;
      // Whoever types fast presses Enter before the list is there.
      if (text !== this.asked) await this.look();
      if (this.input.value.trim() === text && this.asked === text) this.take(this.at);
    }
  }

  take(at) {
    const text = this.input.value.trim();
    this.input.value = "";
    this.asked = null;
    const chosen = this.options[at];
    this.options = [];
    this.close();
    this.choose(chosen || null, text);
  }

  get nothing() {
    return this.input.dataset.nothing || "";
  }
}

/* Keys that work on every page. */
const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
let went = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/" && element("find")) {
    event.preventDefault();
    element("find").focus();
    element("find").select();
  } else if (event.key === "?") {
    event.preventDefault();
    element("keys").showModal();
  } else if (event.key === "g") {
    went = Date.now();
  } else if (Date.now() - went < 1500 && /^[1-9]$/.test(event.key)) {
    document.querySelector(`nav a[data-key="${event.key}"]`)?.click();
  }
});
element("open-keys").addEventListener("click", () => element("keys").showModal());

const other = element("other-language");
other.addEventListener("click", () => {
  // What was entered stands behind the #, and goes along.
  other.hash = location.hash;
});

const scheme = element("scheme");
if (scheme?.tagName === "SELECT") {
  scheme.addEventListener("change", () => {
    const address = new URL(location.href);
    address.searchParams.set("scheme", scheme.value);
    if (address.pathname.includes("/scheme")) address.pathname = `${root}/scheme/${encodeURIComponent(scheme.value)}`;
    location.href = address.href;
    if (address.hash && address.pathname === location.pathname && address.search === location.search) location.reload();
  });
}
