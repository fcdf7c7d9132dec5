// Draws every <figure class="plot" data-plot-url="..."> with BokehJS, in the colours of the page, and says in
// words what it cannot draw.
"use strict";

(() => {
  const drawn = new WeakMap();

  // The page's own ink tells whether it is dark, whoever decided that: the system, or a switch of the admin.
  function lookOf(figure) {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = getComputedStyle(figure).color;
    context.fillRect(0, 0, 1, 1);
    const ink = context.getImageData(0, 0, 1, 1).data;
    return 0.3 * ink[0] + 0.6 * ink[1] + 0.1 * ink[2] > 128 ? "dark" : "light";
  }

  function say(figure, words) {
    figure.querySelector(".plot__words").textContent = words;
    figure.querySelector(".plot__canvas").setAttribute("aria-label", words);
  }

  async function load(figure, look) {
    const url = new URL(figure.dataset.plotUrl, window.location.href);
    url.searchParams.set("look", look);
    const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    if (!response.ok || !isJson) {
      throw new Error(response.redirected ? "log in again to see it" : `the server answered ${response.status}`);
    }
    return response.json();
  }

  async function draw(figure) {
    const look = lookOf(figure);
    if (drawn.get(figure) === look) return;
    drawn.set(figure, look);
    const canvas = figure.querySelector(".plot__canvas");
    figure.classList.remove("plot--drawn");
    figure.classList.add("plot--loading");
    say(figure, "The plot is being loaded.");
    try {
      const { plot, words } = await load(figure, look);
      if (drawn.get(figure) !== look) return;
      canvas.replaceChildren();
      if (plot) {
        await Bokeh.embed.embed_item(plot, canvas);
        figure.classList.add("plot--drawn");
      }
      say(figure, words);
    } catch (error) {
      drawn.delete(figure);
      canvas.replaceChildren();
      say(figure, `The plot could not be drawn: ${error.message}.`);
    } finally {
      figure.classList.remove("plot--loading");
    }
  }

  function drawAll() {
    document.querySelectorAll("figure.plot[data-plot-url]").forEach(draw);
  }

  drawAll();
  document.addEventListener("htmx:afterSwap", drawAll);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["class"] });
})();
