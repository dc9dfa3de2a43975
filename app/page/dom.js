// Making elements. Text goes in as text alone: nothing that is typed or answered becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element; a property that starts with `on` is a listener, `text` its text. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return the element of the page with that id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Move the focus to what is no control, such as a heading. */
export function focusOn(element) {
  element.tabIndex = -1;
  element.focus();
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
