/* Shows the document of the API. Nothing is asked of any other server. */
const docs = document.getElementById("docs");

/* Swagger UI puts links and buttons into the button that opens an operation: the keyboard and screen readers get one
   thing there, which opens it. */
function plainSummaries() {
  for (const link of docs.querySelectorAll(".opblock-summary-control a[href]")) link.removeAttribute("href");
  for (const inner of docs.querySelectorAll(".opblock-summary-control [tabindex]")) inner.removeAttribute("tabindex");
}

new MutationObserver(plainSummaries).observe(docs, { childList: true, subtree: true });
SwaggerUIBundle({
  url: docs.dataset.openapi,
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
