// Light or dark before anything is drawn; buttons and forms are told to the page's process; nothing else.
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
