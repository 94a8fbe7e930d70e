/* Light or dark as the system has it; the pages with NiceGUI do the same. */
(() => {
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => document.body.classList.toggle("body--dark", wanted.matches);
  wanted.addEventListener("change", show);
  show();
})();
