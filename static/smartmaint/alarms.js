// The list of alarms renews itself: a card that somebody is at stays as it is, and what is looked at stays in its place.
"use strict";

(() => {
  function isInUse(card) {
    // What an answer says stands for a while.
    const news = card.querySelector(".message:not([data-seen])");
    if (news) news.dataset.seen = "";
    return Boolean(news) || card.matches(":focus-within, :active") || card.querySelector("details[open], .htmx-request");
  }

  // The uppermost card in sight, unless the list's beginning is: there people want to see what is new.
  function cardInSight(list) {
    if (list.getBoundingClientRect().top >= 0) return null;
    return [...list.children].find((card) => card.id && card.getBoundingClientRect().bottom > 0) || null;
  }

  function renew(list, fresh) {
    const inSight = cardInSight(list);
    const topBefore = inSight && inSight.getBoundingClientRect().top;
    for (const child of [...list.children]) {
      if (!child.id || !isInUse(child)) child.remove();
    }
    // Those in use are never moved, which would take their focus; the others are put around them.
    const isKept = new Set([...list.children].map((card) => card.id));
    const added = [];
    let next = list.firstElementChild;
    for (const child of [...fresh.children]) {
      if (isKept.has(child.id)) {
        const kept = document.getElementById(child.id);
        const isAhead = next && next.compareDocumentPosition(kept) & Node.DOCUMENT_POSITION_FOLLOWING;
        if (kept === next || isAhead) next = kept.nextElementSibling;
      } else {
        list.insertBefore(child, next);
        added.push(child);
      }
    }
    const again = inSight && document.getElementById(inSight.id);
    if (again) window.scrollBy(0, again.getBoundingClientRect().top - topBefore);
    return added;
  }

  htmx.defineExtension("alarm-list", {
    onEvent: (name, event) => !(name === "htmx:beforeRequest" && event.target.id === "alarm-list" && document.hidden),
    isInlineSwap: (style) => style === "alarm-list",
    handleSwap(style, list, fragment) {
      const fresh = style === "alarm-list" && fragment.firstElementChild;
      return fresh ? renew(list, fresh) : false;
    },
  });
})();
