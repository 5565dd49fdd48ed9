// Light or dark before anything is drawn; buttons and forms are told to the page's process; charts stay where they were
// scrolled to, and folded what a reader folded; a page that is not connected says so; nothing else.
(() => {
  const cookie = (name) => (document.cookie.match(`(?:^|; )${name}=([^;]*)`) || [])[1];
  const keep = (name, value) => {
    document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=strict`;
  };
  const media = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const theme = cookie("ess_theme") || (media.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
  };
  paint();
  media.addEventListener("change", paint);
  // Where there is no room for all of a chart it begins at its now, and stays where a reader has put it: each is drawn
  // anew when a number changes.
  const put = new Map();
  const piece = (chart) => {
    const home = chart.closest(".piece") || document.body;
    return home.className + [...home.querySelectorAll(".chart")].indexOf(chart);
  };
  const place = () => {
    for (const chart of document.querySelectorAll("#app .chart:not([data-put])")) {
      chart.dataset.put = "";
      if (chart.scrollWidth <= chart.clientWidth) continue;
      const first = chart.dataset.first * chart.scrollWidth - chart.clientWidth / 2;
      chart.scrollLeft = put.get(piece(chart)) ?? first;
      chart.addEventListener("scroll", () => put.set(piece(chart), chart.scrollLeft));
    }
  };
  // What a reader has folded or unfolded stays so, though it is drawn anew when a number changes.
  const folds = new Map();
  const fold = () => {
    for (const each of document.querySelectorAll("#app [data-fold]")) {
      const open = folds.get(each.dataset.fold);
      if (open !== undefined && each.open !== open) each.open = open;
    }
  };
  document.addEventListener("click", (event) => {
    const line = event.target.closest("summary");
    const home = line && line.closest("#app [data-fold]");
    if (home) folds.set(home.dataset.fold, !home.open);
  });
  new MutationObserver(fold).observe(document.documentElement, { childList: true, subtree: true });
  new MutationObserver(place).observe(document.documentElement, { childList: true, subtree: true });
  // Without a socket a page looks alive and is not: it may take its time to open one, and three seconds to have it back.
  let silentAt = 8000;
  setInterval(() => {
    const now = performance.now();
    if (window.socket && window.socket.connected) silentAt = now + 3000;
    document.documentElement.classList.toggle("dead", now > silentAt);
  }, 1000);
  document.addEventListener("click", (event) => {
    const ui = event.target.closest("[data-ui]");
    if (ui && ui.dataset.ui === "lang") {
      keep("ess_lang", ui.dataset.to);
      location.reload();
    }
    if (ui && ui.dataset.ui === "theme") {
      keep("ess_theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
      paint();
    }
    const button = event.target.closest("button[data-act]");
    if (button) emitEvent("act", { ...button.dataset });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-act]");
    if (!form) return;
    event.preventDefault();
    emitEvent("act", { ...Object.fromEntries(new FormData(form)), act: form.dataset.act });
  });
})();
