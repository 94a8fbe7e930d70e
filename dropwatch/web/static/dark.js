/* Light or dark as it was chosen on the pages (dropwatch.js), else as the system has it. */
(() => {
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = /(?:^|; )dropwatch-theme=(light|dark)/.exec(document.cookie)?.[1];
  const show = () => document.body.classList.toggle("body--dark", chosen ? chosen === "dark" : wanted.matches);
  if (chosen) document.documentElement.dataset.theme = chosen;
  wanted.addEventListener("change", show);
  show();
})();
