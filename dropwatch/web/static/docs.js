/* Shows the document of the API. Nothing is asked of any other server. */
SwaggerUIBundle({
  url: document.getElementById("docs").dataset.openapi,
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
