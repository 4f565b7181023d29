// SPDX-License-Identifier: Apache-2.0

// What makes the pages pleasanter. Each of them works without it.

const lang = document.documentElement.lang;

/** Writes times as their reader does, in the reader's own time zone. */
const spellTimes = (root) => {
  const spell = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short", numberingSystem: "latn" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = spell.format(new Date(time.dateTime));
    time.dir = "auto";
  }
};

/** Lets a file be dropped on a form, and shows how its upload goes. */
const withDrop = (form) => {
  const input = form.querySelector('input[name="module"]');
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  form.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    form.classList.add("is-over");
  });
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) form.classList.remove("is-over");
  });
  form.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    form.classList.remove("is-over");
    const files = new DataTransfer();
    if (event.dataTransfer.files.length > 0) files.items.add(event.dataTransfer.files[0]);
    input.files = files.files;
    form.querySelector("button").focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    upload(form);
  });
};

/** Sends a form as a browser would, and says how far it is. */
const upload = (form) => {
  const button = form.querySelector("button");
  const say = form.querySelector("[data-say]");
  const progress = form.querySelector("[data-progress]");
  const bar = progress.querySelector("progress");
  const body = new FormData(form);
  if (body.get("signature")?.size === 0) body.delete("signature");
  const request = new XMLHttpRequest();
  button.disabled = true;
  progress.hidden = false;
  say.textContent = say.dataset.sending;
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (event.loaded / event.total) * 100;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    say.textContent = say.dataset.checking;
  });
  request.addEventListener("error", () => {
    button.disabled = false;
    progress.hidden = true;
    say.textContent = say.dataset.failed;
  });
  request.addEventListener("load", () => {
    if (request.status < 300) {
      location.assign(request.responseURL);
      return;
    }
    show(request.responseText);
  });
  request.open("POST", form.action);
  request.send(body);
};

/** Shows a page that answered a form in the place of this one. */
const show = (html) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const main = page.querySelector("main");
  document.title = page.title;
  document.querySelector("main").replaceWith(main);
  enhance(main);
  const problem = main.querySelector(".problem");
  problem?.setAttribute("tabindex", "-1");
  (problem ?? main).focus();
};

/** Copies what a field holds. */
const withCopy = (button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.copied;
  });
};

const enhance = (root) => {
  spellTimes(root);
  root.querySelectorAll("[data-drop]").forEach(withDrop);
  if (navigator.clipboard) root.querySelectorAll("[data-copy]").forEach(withCopy);
};

/** Closes the menus that are open when something else is pressed. */
const closeMenus = (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) {
    if (event.type === "keydown" && event.key === "Escape") {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    } else if (event.type === "click" && !menu.contains(event.target)) {
      menu.open = false;
    }
  }
};

// What was done is told once, not again when the page is loaded again.
if (new URLSearchParams(location.search).has("done")) history.replaceState(null, "", location.pathname);

enhance(document);
document.addEventListener("keydown", closeMenus);
document.addEventListener("click", closeMenus);
document.getElementById("problem")?.focus();
