"use strict";
// All of this also works without a script. Nothing here is kept: no storage, no cookie, no request to another origin.
(() => {
  const find = (selector) => document.querySelector(selector);
  const here = () => location.pathname + location.search;

  // The code that opens the link is in the fragment. It leaves the address bar before anything else can read it there.
  const begin = find("#begin");
  if (location.hash.length > 40) {
    const code = location.hash.slice(1);
    history.replaceState(null, "", here());
    if (begin) {
      begin.elements.code.value = code;
      find("#code-field").hidden = true;
    }
  }

  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      const said = button.nextElementSibling;
      try {
        await navigator.clipboard.writeText(source.textContent);
        said.textContent = button.dataset.done;
      } catch {
        getSelection().selectAllChildren(source);
        said.textContent = button.dataset.selected;
      }
    });
  }

  const form = find("#key");
  if (form) key(form);
  // A page that was loaded while a key is being checked.
  const running = find("#checks[data-running]");
  if (running) watch(running);

  function key(form) {
    const { access_key_id: id, secret_access_key: secret } = form.elements;
    const said = find("#wrong");
    const words = said.dataset;

    const say = (word, field) => {
      said.textContent = word;
      said.hidden = !word;
      for (const one of [id, secret]) one.removeAttribute("aria-invalid");
      if (field) {
        field.setAttribute("aria-invalid", "true");
        field.focus();
      }
      return !word;
    };
    // What pasting leaves: blanks, quotes, and percent signs of a URL.
    const clean = (text) => text.trim().replace(/^["'\s]+|["'\s,;]+$/g, "").replace(/%2B/gi, "+").replace(/%2F/gi, "/");
    const isId = (text) => /^(AKIA|ASIA)[A-Z0-9]{16}$/.test(text);
    const check = () => {
      const [i, s] = [clean(id.value), clean(secret.value)];
      if (isId(s) && /^[A-Za-z0-9+/]{40}$/.test(i)) return say(words.swapped, id);
      if (i.startsWith("ASIA")) return say(words.temporary, id);
      if (!isId(i)) return say(words.id, id);
      if (/^B[A-Za-z0-9+/=]{43}$/.test(s)) return say(words.smtp, secret);
      if (s.length > 100) return say(words.session, secret);
      if (!/^[A-Za-z0-9+/]{40}$/.test(s)) return say(words.secret, secret);
      return say("");
    };

    const drop = find("#csv");
    drop.parentElement.hidden = false;
    drop.addEventListener("change", async () => {
      const file = drop.files[0];
      if (!file) return;
      const text = file.size < 10000 ? await file.text() : "";
      drop.value = "";
      if (/^rootkey/i.test(file.name) || /AWSAccessKeyId/.test(text)) return say(words.root, id);
      const found = text.match(/(?:AKIA|ASIA)[A-Z0-9]{16}/);
      const other = text.match(/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])/);
      if (!found || !other) return say(words.csv, drop);
      id.value = found[0];
      secret.value = other[0];
      check();
    });

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (form.dataset.sent || !check()) return;
      form.dataset.sent = "1";
      const body = new URLSearchParams(new FormData(form));
      id.value = secret.value = "";
      form.hidden = true;
      const checking = find("#checking");
      checking.hidden = false;
      find("#checking h2").focus();
      let ended = false;
      const sent = fetch(form.action, { method: "POST", body, redirect: "manual" });
      sent.catch(() => {}).then(() => { ended = true; });
      watch(find("#checks"), () => ended);
    });
    addEventListener("pagehide", () => { id.value = secret.value = ""; });
  }

  // Asks which checks have ended, until all have.
  async function watch(list, ended = () => true) {
    const { progress, next } = list.dataset;
    const shown = new Set();
    for (let calm = 0; calm < 90; calm += 1) {
      await new Promise((done) => setTimeout(done, 600));
      // Read before the question: what has ended by then is in the answer.
      const last = ended();
      let answer;
      try {
        const response = await fetch(progress);
        if (!response.ok) continue;
        answer = await response.json();
      } catch {
        continue;
      }
      if (list.dataset.before && answer.submission === list.dataset.before) answer.checks = [];
      for (const check of answer.checks) {
        if (shown.has(check.name)) continue;
        shown.add(check.name);
        const line = document.createElement("li");
        const [name, outcome] = [document.createElement("b"), document.createElement("span")];
        name.textContent = check.label;
        outcome.textContent = check.said;
        outcome.className = "outcome " + check.outcome;
        line.append(name, outcome);
        list.append(line);
      }
      if (last && !answer.running) break;
    }
    location.replace(next);
  }
})();
