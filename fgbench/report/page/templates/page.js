"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const root = document.documentElement;
  root.classList.add("scripted");

  // Language and theme are switched by CSS alone; here the choice is kept, and what CSS cannot reach is translated.
  const keep = (name, value) => { try { localStorage.setItem("fgbench." + name, value); } catch { /* not allowed here */ } };
  const kept = (name) => { try { return localStorage.getItem("fgbench." + name); } catch { return null; } };
  const language = () => document.querySelector("[name=language]:checked").value;
  const translate = () => {
    root.lang = language() === "zh" ? "zh-Hans" : "en";
    for (const option of all("option[data-en]")) option.textContent = option.dataset[language()];
  };
  const wanted = { language: kept("language") || ((navigator.language || "").startsWith("zh") ? "zh" : ""), theme: kept("theme") };
  for (const name of ["language", "theme"]) {
    for (const radio of all(`[name=${name}]`)) {
      if (wanted[name]) radio.checked = radio.value === wanted[name];
      radio.addEventListener("change", () => { keep(name, radio.value); translate(); });
    }
  }
  translate();

  // A heading sorts the rows of each table body on its own: rows that are not comparable stay apart.
  const value = (row, index) => {
    const cell = row.cells[index];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.innerText.trim();
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  for (const table of all("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const numeric = heading.classList.contains("n");
        const first = numeric ? "descending" : "ascending";
        const other = numeric ? "ascending" : "descending";
        const order = heading.getAttribute("aria-sort") === first ? other : first;
        for (const each of headings) each.setAttribute("aria-sort", each === heading ? order : "none");
        for (const body of table.tBodies) {
          const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
          const keyed = rows.map((row) => [value(row, index), row]);
          keyed.sort(([a], [b]) => (order === "ascending" ? compare(a, b) : compare(b, a)));
          body.append(...keyed.map(([, row]) => row));
        }
      });
    });
  }

  // The rows of a model in charts can be hidden.
  for (const box of all("[data-toggle]")) {
    box.addEventListener("change", () => {
      const part = box.closest(".scope");
      for (const each of all(`[data-series="${box.dataset.toggle}"]`, part)) each.classList.toggle("off", !box.checked);
    });
  }

  // The table of all numbers is filtered by text, by the value of a column, and by importance.
  const numbers = document.getElementById("numbers");
  const search = document.getElementById("search");
  const selects = all("#filter select");
  const mainOnly = document.getElementById("main-only");
  const rows = [...numbers.tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const key = (cell) => cell.dataset.k ?? cell.textContent;
  const filter = () => {
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, number) => {
      const fits = terms.every((term) => texts[number].includes(term))
        && selects.every((select) => !select.value || key(row.cells[select.dataset.column]) === select.value)
        && (!mainOnly.checked || "main" in row.dataset);
      row.hidden = !fits;
      shown += fits;
    });
    document.getElementById("count").textContent = shown;
    document.getElementById("nothing").hidden = shown > 0;
  };
  for (const event of ["input", "change"]) document.getElementById("filter").addEventListener(event, filter);
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
  filter();

  document.getElementById("download").addEventListener("click", () => {
    const { columns, rows: cells } = JSON.parse(document.getElementById("results").textContent);
    const quoted = (cell) => (cell === null ? "" : /[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell));
    const text = [columns, ...cells].map((row) => row.map(quoted).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "results.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // A link to the origin of a number opens everything around it.
  const open = () => {
    const target = /^#r\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    target.scrollIntoView({ block: "start" });
  };
  window.addEventListener("hashchange", open);
  open();
})();
