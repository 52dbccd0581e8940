/* Runs refresh by themselves while somebody looks: often while one is at work, else now and then. */

import { element, show } from "./common.js";

const piece = element("piece");
const LIVE = 1500;
const IDLE = 3000;

async function refresh() {
  if (document.visibilityState === "visible" && !piece.contains(document.activeElement)) {
    try {
      const asked = new URL(location.href);
      asked.searchParams.set("piece", "1");
      const response = await fetch(asked);
      const html = await response.text();
      if (response.ok && html !== last) show(piece, (last = html));
    } catch {
      // The server is away for a moment; the next round asks again.
    }
  }
  setTimeout(refresh, piece.querySelector("[data-live=yes]") ? LIVE : IDLE);
}
let last = "";
setTimeout(refresh, LIVE);
