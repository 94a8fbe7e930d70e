/* Light or dark, as the visitor chose on the other pages (dropwatch.js) or as the system has it. */
(() => {
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = document.cookie.split("; ").find((one) => one.startsWith("dropwatch-theme="))?.split("=")[1];
  const show = () => document.body.classList.toggle("body--dark", chosen === "dark" || (chosen !== "light" && wanted.matches));
  wanted.addEventListener("change", show);
  show();
})();
