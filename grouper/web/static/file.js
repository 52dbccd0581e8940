/* The page of a small file: it is sent to this server, grouped, and forgotten there. */

import { data, element, root, send, show, showFailure, t, make } from "./common.js";

const drop = element("drop");
const target = element("grouped");
let chosen = null;

async function group(file) {
  chosen = null;
  if (file.size > data.megabytes * 1024 ** 2) return showFailure(target, t("file.too_large", data.megabytes));
  target.replaceChildren(make("p", { class: "card working", role: "status" }, make("span", { class: "dot" }), ` ${t("file.working")} ${file.name}`));
  try {
    const response = await send(address(file), file);
    show(target, await response.text());
    if (response.ok) chosen = file;
  } catch {
    showFailure(target, t("error.offline"));
  }
}

function address(file, as = "") {
  return `/file?${new URLSearchParams({ scheme: data.scheme, name: file.name, as })}`;
}

element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) group(file);
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) group(file);
});

target.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.as && chosen) {
    await download(button, chosen, button.dataset.as);
  } else if (button.dataset.status) {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const chip of target.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(on && chip === button));
    for (const row of target.querySelectorAll("tr[data-status]")) row.hidden = on && row.dataset.status !== button.dataset.status;
  } else if (button.dataset.explain !== undefined) {
    // In a window of its own, so that the table stays.
    window.open(explained(JSON.parse(button.closest("tr").dataset.case)), "_blank", "noopener");
  }
});

async function download(button, file, as) {
  button.disabled = true;
  try {
    const response = await send(address(file, as), file);
    if (!response.ok) return show(target, await response.text());
    const link = make("a", {
      href: URL.createObjectURL(await response.blob()),
      download: `${file.name.replace(/\.[^.]*$/, "")}-grouped.${as}`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch {
    showFailure(target, t("error.offline"));
  } finally {
    button.disabled = false;
  }
}

function explained(found) {
  const parts = [];
  for (const [name, value] of Object.entries(found)) {
    if (value === null || name === "case_id") continue;
    const many = Array.isArray(value) ? value : name === "dx" || name === "px" ? String(value).split("|") : null;
    parts.push(`${name}=${many ? many.map((code) => encodeURIComponent(code ?? "")).join("|") : encodeURIComponent(value)}`);
  }
  return `${root}/?${new URLSearchParams({ scheme: data.scheme })}#${parts.join("&")}`;
}
